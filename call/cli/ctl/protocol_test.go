package ctl

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	for line, want := range map[string]*request{
		`{"v":1,"verb":"sas"}`:                              {1, Request{Verb: "sas"}},
		`{"v":1,"verb":"say","args":["a\nb","ü"]}` + "\r\n": {1, Request{Verb: "say", Args: []string{"a\nb", "ü"}}},
		`{"v":1,"verb":"sas","of":"a later version"}`:       {1, Request{Verb: "sas"}},
		`{"v":1,"verb":"hangup","call":4}`:                  {1, Request{Verb: "hangup", Call: 4}},
		``:                                                  nil,
		`null`:                                              nil,
		`[]`:                                                nil,
		`{"v":1}`:                                           nil, // no verb
		`{"verb":"sas"}`:                                    nil, // no version
		`{"v":2,"verb":"sas"}`:                              nil,
		`{"v":1,"verb":7}`:                                  nil,
		`{"v":1,"verb":"sas"}{}`:                            nil,
		`{"v":1,"verb":"sas","args":"x"}`:                   nil,
		`{"v":1e99,"verb":"sas"}`:                           nil,
		`{"v":1,"verb":"sas","call":-1}`:                    nil,
		`{"v":1,"verb":"sas","call":1.5}`:                   nil,
		`{"v":1,"verb":"sas","call":"1"}`:                   nil,
		strings.Repeat("[", 4000):                           nil,
	} {
		r, err := parseRequest([]byte(line))
		switch {
		case want == nil && err == nil:
			t.Errorf("%s: taken as %+v", line, r)
		case want != nil && (err != nil || !reflect.DeepEqual(r, *want)):
			t.Errorf("%s: %+v, %v", line, r, err)
		}
	}
}

func TestParseReply(t *testing.T) {
	for line, want := range map[string]*reply{
		`{"v":1,"ok":true}`:                      {Version: 1, OK: true},
		`{"v":1,"ok":true,"text":"x"}`:           {Version: 1, OK: true, Text: "x"},
		`{"v":1,"ok":false,"status":22}`:         {Version: 1, Status: 22},
		`{"v":1,"status":255,"hint":"h"}`:        {Version: 1, Status: 255, Hint: "h"},
		`{}`:                                     nil,
		`{"v":1}`:                                nil, // neither yes nor a status
		`{"v":3,"ok":true}`:                      nil,
		`{"v":1,"ok":true,"status":22}`:          nil,
		`{"v":1,"ok":true,"message":"no"}`:       nil,
		`{"v":1,"ok":false,"status":256}`:        nil, // the system would make 0 of it
		`{"v":1,"ok":false,"status":-1}`:         nil,
		`{"v":1,"ok":"true"}`:                    nil,
		`{"v":1,"ok":true}` + "\n{\"v\":1}":      nil,
		`{"v":1,"ok":false,"status":9999999999}`: nil,
	} {
		r, err := parseReply([]byte(line))
		switch {
		case want == nil && err == nil:
			t.Errorf("%s: taken as %+v", line, r)
		case want != nil && (err != nil || r != *want):
			t.Errorf("%s: %+v, %v", line, r, err)
		}
	}
}

// What a Handler returns always becomes one line that can be read.
func TestReplyLine(t *testing.T) {
	long := strings.Repeat("x", maxReply)
	for name, c := range map[string]struct {
		text string
		err  error
		want reply
	}{
		"text":       {text: "tissue\ndisbelief", want: reply{Version: 1, OK: true, Text: "tissue\ndisbelief"}},
		"error":      {text: "not sent", err: errors.New("no call"), want: reply{Version: 1, Status: 1, Message: "no call"}},
		"ours":       {err: &Error{22, "unequal", "hang up"}, want: reply{Version: 1, Status: 22, Message: "unequal", Hint: "hang up"}},
		"inside":     {err: fmt.Errorf("verify: %w", &Error{22, "unequal", ""}), want: reply{Version: 1, Status: 22, Message: "unequal"}},
		"success":    {err: &Error{0, "no", ""}, want: reply{Version: 1, Status: 1, Message: "no"}},
		"overflow":   {err: &Error{256, "no", ""}, want: reply{Version: 1, Status: 1, Message: "no"}},
		"no UTF-8":   {err: &Error{2, "a\xff", "b\xff"}, want: reply{Version: 1, Status: 2, Message: "a\uFFFD", Hint: "b\uFFFD"}},
		"long":       {text: long, want: reply{Version: 1, Status: 1, Message: "what there is to say is too long for ctl"}},
		"long error": {err: errors.New(long), want: reply{Version: 1, Status: 1, Message: "what there is to say is too long for ctl"}},
	} {
		line := replyLine(c.text, c.err)
		if n := strings.Count(string(line), "\n"); n != 1 || line[len(line)-1] != '\n' || len(line) > maxReply {
			t.Errorf("%s: %d newlines in %d bytes", name, n, len(line))
		}
		if r, err := parseReply(line); err != nil || r != c.want {
			t.Errorf("%s: %.100v, %v", name, r, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{
		`{"v":1,"verb":"sas"}`, `{"v":1,"verb":"sas","call":4}`, `{"v":1,"verb":"say","args":["hello","\u2028\ud800"]}`, `{"V":1,"VERB":"x","args":[null]}`,
		`{"v":2}`, `null`, strings.Repeat(`{"args":[`, 400), "{\"v\":1,\"verb\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRequest(line)
		if err != nil {
			return
		}
		again, err := parseRequest(appendLine(nil, r))
		if len(r.Args) == 0 {
			r.Args = nil // left out, null and [] are one
		}
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzParseReply(f *testing.F) {
	for _, seed := range []string{
		`{"v":1,"ok":true,"text":"tissue disbelief"}`, `{"v":1,"ok":false,"status":22,"message":"unequal","hint":"hang up"}`,
		`{"v":1,"ok":true,"status":1}`, `{"v":1,"status":256}`, `{"v":1,"ok":true,"text":"\u0000\u001b[2J"}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseReply(line)
		if err != nil {
			return
		}
		if again, err := parseReply(appendLine(nil, r)); err != nil || again != r {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}
