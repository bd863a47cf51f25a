package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/netip"
	"strings"
	"time"

	"securecall/call"
)

// The lines of --json. Names and types are a contract with other people's
// scripts: they change only with a note in CHANGELOG.md, and testdata/events
// holds one of each. All text is printable, as on the screen.

const jsonVersion = 1

// head is what every line begins with.
type head struct {
	V     int    `json:"v"`
	Time  string `json:"time"` // RFC 3339, UTC, with milliseconds
	Event string `json:"event"`
	Call  int    `json:"call,omitempty"` // numbers the call; absent where the event is about none
}

func newHead(at time.Time, event string, call int) head {
	return head{jsonVersion, at.UTC().Format("2006-01-02T15:04:05.000Z07:00"), event, call}
}

type (
	jsonCheck struct {
		head
		Check string `json:"name"`
		OK    bool   `json:"ok"`
		Warn  bool   `json:"warn,omitempty"` // it is, but there is something to do
		What  string `json:"what"`
		Hint  string `json:"hint"`
	}
	jsonDoctor struct {
		head
		OK   bool `json:"ok"`
		Code int  `json:"code"` // the exit status
	}
	jsonListening struct {
		head
		Addrs []netip.AddrPort `json:"addrs"`
		Code  string           `json:"code,omitempty"` // good for one call, and secret until then
	}
	jsonDialing struct {
		head
		Peer string         `json:"peer"`
		Addr netip.AddrPort `json:"addr"`
	}
	jsonIncoming struct {
		head
		Addr netip.AddrPort `json:"addr"`
		ZID  string         `json:"zid"`
		Peer string         `json:"name,omitempty"` // the contact's, if it is known
	}
	jsonKeyChanged struct {
		head
		ZID     string `json:"zid"`
		Contact string `json:"name"` // that it is known as, or was dialled as
	}
	jsonVerified struct {
		head
		How string `json:"how"` // typed, via
	}
	jsonPath struct {
		head
		Kind   string         `json:"kind"`
		Local  netip.AddrPort `json:"local"`
		Remote netip.AddrPort `json:"remote"`
	}
	jsonSecured struct {
		head
		Role         string `json:"role"`
		ZID          string `json:"zid"`
		PeerName     string `json:"name"` // the contact's; empty: a stranger
		Hash         string `json:"hash"`
		Cipher       string `json:"cipher"`
		Auth         string `json:"auth"`
		KeyAgreement string `json:"key_agreement"`
		SASType      string `json:"sas_type"`
		SAS          string `json:"sas"`
		Continuity   string `json:"continuity"`
		Verified     bool   `json:"verified"`
		PeerVerified bool   `json:"peer_verified"`
		Code         bool   `json:"code"`          // authenticated by a call code
		Aux          string `json:"aux,omitempty"` // the auxiliary secret, if we have one: match, mismatch
		Discloses    bool   `json:"peer_discloses,omitempty"`
		Itself       bool   `json:"own_installation,omitempty"`
		Attempts     int    `json:"attempts,omitempty"` // key agreements that others broke off lately
		PeerClient   string `json:"peer_client"`
	}
	// figures are those of the event stats, and of ended.
	figures struct {
		RTT          float64           `json:"rtt_ms"` // 0: not known yet
		Jitter       float64           `json:"jitter_ms"`
		Loss         float64           `json:"loss_pct"`
		PeerJitter   float64           `json:"peer_jitter_ms"`
		PeerLoss     float64           `json:"peer_loss_pct"`
		PlayoutDelay float64           `json:"playout_delay_ms"`
		Concealed    float64           `json:"concealed_ms"`
		Recovered    float64           `json:"recovered_ms"` // by redundancy
		Redundancy   int               `json:"redundancy"`   // copies in each packet that we send
		MOS          float64           `json:"mos"`          // 1 to 4.5; 0: nothing heard yet
		PeerMOS      float64           `json:"peer_mos"`     // 1 to 5, as the peer says; 0: it has not said
		Sent         uint64            `json:"sent"`
		Received     uint64            `json:"received"`
		Dropped      map[string]uint64 `json:"dropped"`
	}
	jsonStats struct {
		head
		figures
	}
	jsonOn struct {
		head
		On bool `json:"on"`
	}
	jsonRecording struct {
		head
		On   bool   `json:"on"`
		File string `json:"file,omitempty"` // what it is written to, where it got as far as that
	}
	jsonText struct {
		head
		Text string `json:"text"`
	}
	jsonDTMF struct {
		head
		Digits string `json:"digits"`
	}
	jsonDevice struct {
		head
		Which      string `json:"which"`
		State      string `json:"state"`
		DeviceName string `json:"name"`
	}
	jsonError struct {
		head
		Message string `json:"message"`
		Hint    string `json:"hint"`
	}
	jsonEnded struct {
		head
		Reason   string  `json:"reason"`
		Code     int     `json:"code"` // the exit status
		Duration float64 `json:"duration_s"`
		Stats    figures `json:"stats"`
	}
)

// events writes the lines of --json.
type events struct {
	w            io.Writer
	mic, speaker string                     // as on the command line, for the event device
	refused      map[netip.AddrPort]int     // in which call it was told last
	why          func(call.Ended) diagnosis // what a person is told of an end; nil: nobody is told
}

func newEvents(w io.Writer, s *settings) *events {
	return &events{w: w, mic: s.mic, speaker: s.speaker, refused: map[netip.AddrPort]int{}}
}

// show writes the line of one event, if it has one.
func (j *events) show(at time.Time, id int, e call.Event) error {
	for _, line := range j.lines(at, id, e) {
		if err := j.write(line); err != nil {
			return err
		}
	}
	return nil
}

// write writes one line, at once.
func (j *events) write(line any) error {
	b, err := encoded(line)
	if err != nil {
		return err
	}
	_, err = j.w.Write(b)
	return err
}

// encoded is a line of --json.
func encoded(line any) ([]byte, error) {
	var b bytes.Buffer
	text := json.NewEncoder(&b)
	text.SetEscapeHTML(false) // it is not for a page of HTML, and a < would be six octets
	err := text.Encode(line)
	return b.Bytes(), err
}

// lines are most often one; a refusal is an error event, and an ended call
// whose cause needs more words than a reason is an error and then ended.
func (j *events) lines(at time.Time, id int, e call.Event) []any {
	h := newHead(at, e.Name(), id)
	switch e := e.(type) {
	case call.Listening:
		return []any{jsonListening{h, append([]netip.AddrPort{}, e.Addrs...), e.Code}} // never null
	case call.Dialing:
		return []any{jsonDialing{h, printable(e.Peer), e.Addr}}
	case call.Refused:
		if j.refused[e.Addr] == id {
			return nil
		}
		j.refused[e.Addr] = id
		h.Event = "error"
		d := refused(e.Addr)
		return []any{jsonError{h, d.what, d.hint}}
	case call.PathChanged:
		return []any{jsonPath{h, e.Kind, e.Local, e.Remote}}
	case call.Secured:
		return []any{jsonSecured{
			head: h, Role: e.Role, ZID: e.ZID, PeerName: printable(e.Contact), Hash: e.Hash, Cipher: e.Cipher, Auth: e.Auth,
			KeyAgreement: e.KeyAgreement, SASType: e.SASType, SAS: e.SAS, Continuity: e.Continuity,
			Verified: e.Verified, PeerVerified: e.PeerVerified, Code: e.ByCode && e.Auxiliary == "match", PeerClient: printable(e.PeerClient),
			Aux: strings.TrimPrefix(e.Auxiliary, "none"), Discloses: e.Discloses, Itself: e.Itself, Attempts: e.Attempts,
		}}
	case call.KeyChanged:
		return []any{jsonKeyChanged{h, e.ZID, printable(e.Contact)}}
	case call.Verified:
		return []any{jsonVerified{h, e.How}}
	case call.Incoming:
		return []any{jsonIncoming{h, e.Addr, e.ZID, printable(e.Contact)}}
	case call.Ringing, call.Answered:
		return []any{h}
	case call.Muted:
		return []any{jsonOn{h, e.On}}
	case call.Held:
		return []any{jsonOn{h, e.On}}
	case call.Recording:
		return j.recording(h, e)
	case call.PeerRecording:
		return []any{jsonOn{h, e.On}}
	case call.Text:
		return []any{jsonText{h, printable(e.Text)}}
	case call.DTMF:
		return []any{jsonDTMF{h, printable(e.Digits)}}
	case call.Stats:
		return []any{jsonStats{h, newFigures(e)}}
	case call.DeviceState:
		name := j.mic
		if e.Which == "speaker" {
			name = j.speaker
		}
		return []any{jsonDevice{h, e.Which, e.State, printable(name)}}
	case call.Fault:
		d := diagnose(e.Err)
		if e.Hint != "" {
			d.hint = printable(e.Hint)
		}
		return []any{jsonError{h, d.what, d.hint}}
	case call.Ended:
		ended := jsonEnded{h, e.Reason.String(), int(e.Reason), seconds(e.Duration), newFigures(e.Stats)}
		if e.Err == nil || e.Reason == call.ReasonNormal {
			return []any{ended}
		}
		h.Event = "error"
		d := diagnose(e.Err)
		if d.hint == "" && j.why != nil {
			d.hint = j.why(e).hint
		}
		return []any{jsonError{h, d.what, d.hint}, ended}
	}
	return nil
}

// recording tells as well why there is none, or none any more.
func (j *events) recording(h head, e call.Recording) []any {
	line := jsonRecording{h, e.On, printable(e.File)}
	if e.Err == nil {
		return []any{line}
	}
	h.Event = "error"
	d := diagnose(e.Err)
	return []any{jsonError{h, d.what, d.hint}, line}
}

// fail writes what went wrong before there was a call.
func (j *events) fail(d diagnosis) {
	h := newHead(time.Now(), "error", 0)
	_ = j.write(jsonError{h, d.what, d.hint})
}

func newFigures(s call.Stats) figures {
	f := figures{
		RTT: milliseconds(s.RTT), Jitter: milliseconds(s.Jitter), Loss: tenths(s.Loss),
		PeerJitter: milliseconds(s.PeerJitter), PeerLoss: tenths(s.PeerLoss),
		PlayoutDelay: milliseconds(s.PlayoutDelay), Concealed: milliseconds(s.Concealed),
		Recovered: milliseconds(s.Recovered), Redundancy: s.Redundancy,
		MOS: tenths(s.MOS), PeerMOS: tenths(s.Peer.MOS),
		Sent: s.Sent, Received: s.Received, Dropped: s.Dropped,
	}
	if f.Dropped == nil {
		f.Dropped = map[string]uint64{}
	}
	return f
}

func tenths(f float64) float64 { return math.Round(f*10) / 10 }

func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}
