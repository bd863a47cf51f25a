package device

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jfreymuth/pulse/proto"

	"securecall/audio"
)

// The sink has the next frame decided a quarter of a frame after the server has asked for
// it, and sooner once the server has run dry again and again.
func TestPulseSinkIsJustInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sent := newTestSink()
		defer s.Close()
		s.goesOn.Store(true)
		s.wanted(2 * audio.FrameSamples)
		f := make(audio.Frame, audio.FrameSamples)
		const dryAt = settling + 5
		for n := range settled + 5 {
			if n == 5 || n == dryAt { // what was only just opened may run dry
				for range often {
					s.conn.takeSound(underflow())
				}
			}
			time.AfterFunc(audio.FrameDuration, func() { s.wanted(2 * audio.FrameSamples) })
			begin := time.Now()
			if err := s.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
			want := audio.FrameDuration * 5 / 4
			if n >= dryAt {
				want = audio.FrameDuration * 9 / 8
			}
			if took := time.Since(begin); took != want {
				t.Fatalf("frame %d: the next is wanted after %v, and not %v", n, took, want)
			}
		}
		// Once settled, it asks the server to go on when it runs dry, and gives it a
		// millisecond besides.
		all := sent()
		if got, want := sound(all), (settled+5)*s.octets+inFront; got != want {
			t.Errorf("the server got %d octets of sound, not %d", got, want)
		}
		if n := bytes.Count(all, []byte{'L', 0, 0, 0, proto.OpSetPlaybackStreamBufferAttr}); n != 1 {
			t.Errorf("asked %d times not to wait for what is late", n)
		}
	})
}

// A server that was away asks for all that it would have played meanwhile. What it
// gets for it is silence: the frames of that time are over.
func TestPulseSinkAfterASleep(t *testing.T) {
	for _, away := range []time.Duration{asleep / 2, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s, sent := newTestSink()
			defer s.Close()
			f := make(audio.Frame, audio.FrameSamples)
			for i := range f {
				f[i] = 1 << 10
			}
			s.wanted(2 * s.octets)
			if err := s.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
			missed := int(away / audio.FrameDuration)
			time.AfterFunc(away, func() { s.wanted(missed * s.octets) })
			if err := s.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
			left, silence := s.room/s.octets, bytes.Count(sent(), make([]byte, s.octets))
			if want := min(missed, 2); away >= asleep && (left != want || silence != missed-want) {
				t.Errorf("away for %v: %d frames of silence, and %d still to come", away, silence, left)
			}
			if away < asleep && (left != missed || silence != 0) {
				t.Errorf("away for %v: %d frames of silence, and %d still to come", away, silence, left)
			}
		})
	}
}

// A server that wants more at once than it has asked for, and so asks no more, gets
// some frames unasked; then it counts as one that has stopped.
func TestPulseSinkLends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestSink()
		defer s.Close()
		f := make(audio.Frame, audio.FrameSamples)
		s.lends = true
		s.wanted(s.octets * 3 / 2)
		begin := time.Now()
		for n := range mostLent {
			if err := s.WriteFrame(f); err != nil {
				t.Fatalf("frame %d: %v", n, err)
			}
		}
		if took := time.Since(begin); took < mostLent*3*audio.FrameDuration || took > mostLent*4*audio.FrameDuration {
			t.Errorf("%d frames were lent in %v", mostLent, took)
		}
		time.AfterFunc(audio.FrameDuration, func() { s.wanted(s.octets) }) // what it got is not owed
		if err := s.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		if err := s.WriteFrame(f); err == nil || time.Since(begin) < stall {
			t.Errorf("a server that asks for nothing: %v after %v", err, time.Since(begin))
		}
	})
}

// Where the graph of PipeWire takes more than a frame at once, its buffer stays as it has
// made it; others are told to go on when they run dry.
func TestPulseSinkLeavesALargerBuffer(t *testing.T) {
	for _, c := range []struct {
		lends bool
		steps []int // frames
		asks  bool
	}{{false, []int{1, 1}, true}, {false, []int{2}, true}, {true, []int{1, 1}, true}, {true, []int{2}, false}} {
		synctest.Test(t, func(t *testing.T) {
			s, sent := newTestSink()
			defer s.Close()
			s.lends, s.played = c.lends, settling-1
			for _, n := range c.steps {
				s.wanted(n * s.octets)
			}
			if err := s.WriteFrame(make(audio.Frame, audio.FrameSamples)); err != nil {
				t.Fatal(err)
			}
			s.goesOn.Store(true)
			for s.played < settled {
				s.wanted(s.octets)
				if err := s.WriteFrame(make(audio.Frame, audio.FrameSamples)); err != nil {
					t.Fatal(err)
				}
			}
			all := sent()
			want := (settled - settling + 1) * s.octets
			if c.asks {
				want += inFront
			}
			if got := sound(all); got != want {
				t.Errorf("%+v: the server got %d octets of sound, not %d", c, got, want)
			}
			asked := bytes.Contains(all, binary.BigEndian.AppendUint32([]byte{'L'}, proto.OpSetPlaybackStreamBufferAttr))
			if asked != c.asks {
				t.Errorf("%+v: asked: %v", c, asked)
			}
		})
	}
}

// newTestSink is a sink of a server that says nothing, and what it was sent so far.
func newTestSink() (s *pulseSink, sent func() []byte) {
	ours, server := net.Pipe()
	var got []byte
	go func() {
		for b := make([]byte, 4096); ; {
			n, err := server.Read(b)
			if got = append(got, b[:n]...); err != nil {
				return
			}
		}
	}()
	c := &pulseConn{conn: ours, stream: newStream(ours), client: &proto.Client{Callback: func(any) {}}}
	c.client.SetTimeout(pulseTimeout)
	c.client.Open(c)
	s = &pulseSink{
		conn: c, timer: stoppedTimer(), end: newEnding("x"),
		octets: 2 * audio.FrameSamples, hold: audio.FrameDuration / 4, more: make(chan struct{}, 1),
	}
	s.alarm = newAlarm(false, s.end.closed)
	c.serve(handlers{want: s.wanted, dry: s.ranDry, lost: s.end.lose})
	return s, func() []byte {
		time.Sleep(2 * pulseTimeout) // so that no request waits for an answer
		synctest.Wait()
		return got
	}
}

// Now and then in a long call is not again and again.
func TestPulseSinkForgetsThatItRanDry(t *testing.T) {
	s := &pulseSink{hold: 10 * time.Millisecond}
	for range 3 * often {
		s.played += 100 * settling
		s.ranDry()
	}
	if s.hold != 10*time.Millisecond {
		t.Errorf("%v", s.hold)
	}
}

// sound is how many octets of it are in what was sent to a server.
func sound(sent []byte) (octets int) {
	for len(sent) > 0 {
		length := int(binary.BigEndian.Uint32(sent))
		if binary.BigEndian.Uint32(sent[4:]) != pulseControl {
			octets += length
		}
		sent = sent[pulseHeader+length:]
	}
	return octets
}

// underflow is a server's word that it had nothing to play.
func underflow() []byte {
	b := make([]byte, pulseHeader)
	binary.BigEndian.PutUint32(b[4:], pulseControl)
	b = binary.BigEndian.AppendUint32(append(b, 'L'), proto.OpUnderflow)
	return append(b, make([]byte, 10)...)
}

// Whatever a server says to a stream, what is kept of it is bounded.
func FuzzTakeSound(f *testing.F) {
	f.Add(make([]byte, pulseHeader+20))
	f.Add(underflow())
	request := append(make([]byte, pulseHeader), 'L', 0, 0, 0, proto.OpRequest, 'L', 0, 0, 0, 0, 'L', 0, 0, 0, 0, 'L', 0xff, 0xff, 0xff, 0xff)
	binary.BigEndian.PutUint32(request[4:], pulseControl)
	f.Add(request)
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) < pulseHeader {
			return
		}
		c, s := newCapture("x"), &pulseSink{octets: 2 * audio.FrameSamples, end: newEnding("x"), more: make(chan struct{}, 1)}
		conn := &pulseConn{handlers: handlers{data: c.push, want: s.wanted, dry: s.ranDry}}
		for range 3 {
			if !conn.takeSound(message) {
				ours(message)
			}
		}
		if c.n > len(c.buf) || s.room < 0 || s.room > pulseMost {
			t.Fatalf("%d samples, room for %d octets", c.n, s.room)
		}
	})
}
