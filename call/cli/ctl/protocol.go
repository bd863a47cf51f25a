package ctl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// version is v of both lines. It changes when a line of the one kind could be
// misread as the other; fields that are not known are ignored.
const version = 1

// The longest lines, in bytes with the newline. A reply may be a table.
const (
	maxRequest = 4096
	maxReply   = 64 << 10
)

// A Request is what is asked of a process.
type Request struct {
	Verb string   `json:"verb"`
	Call int      `json:"call,omitempty"` // the number of the call that is meant; 0: the only one
	Args []string `json:"args,omitempty"`
}

type request struct {
	Version int `json:"v"`
	Request
}

// A reply has text if ok, and otherwise the other three.
type reply struct {
	Version int    `json:"v"`
	OK      bool   `json:"ok"`
	Text    string `json:"text,omitempty"`
	Status  int    `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// appendLine appends v as one line.
func appendLine(b []byte, v any) []byte {
	w := bytes.NewBuffer(b)
	e := json.NewEncoder(w) // ends with a newline, and escapes those inside
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // numbers and strings can always be written
	}
	return w.Bytes()
}

func parseRequest(line []byte) (r request, err error) {
	if err := json.Unmarshal(line, &r); err != nil {
		return request{}, fmt.Errorf("that is no request: %w", err)
	}
	if err := checkVersion(r.Version); err != nil {
		return request{}, err
	}
	if r.Verb == "" {
		return request{}, errors.New("the request has no verb")
	}
	if r.Call < 0 {
		return request{}, fmt.Errorf("the request is for a call %d", r.Call)
	}
	return r, nil
}

func parseReply(line []byte) (r reply, err error) {
	if err := json.Unmarshal(line, &r); err != nil {
		return reply{}, fmt.Errorf("that is no reply: %w", err)
	}
	if err := checkVersion(r.Version); err != nil {
		return reply{}, err
	}
	switch {
	case r.OK && (r.Status != 0 || r.Message != "" || r.Hint != ""):
		return reply{}, errors.New("the reply says both yes and no")
	case !r.OK && !isStatus(r.Status):
		return reply{}, fmt.Errorf("the reply has an exit status of %d", r.Status)
	}
	return r, nil
}

func checkVersion(v int) error {
	if v != version {
		return fmt.Errorf("the other securecall speaks version %d here, and this one %d", v, version)
	}
	return nil
}

func tooLong() *Error {
	return &Error{statusUsage, fmt.Sprintf("the request is longer than %d bytes", maxRequest), "say it in parts"}
}

// replyLine is the line that tells what a Handler returned.
func replyLine(text string, err error) []byte {
	r := reply{Version: version, OK: true, Text: text}
	if err != nil {
		e := asError(err)
		r = reply{Version: version, Status: e.Status, Message: e.Message, Hint: e.Hint}
	}
	line := appendLine(nil, r)
	if len(line) > maxReply {
		return replyLine("", errors.New("what there is to say is too long for ctl"))
	}
	return line
}
