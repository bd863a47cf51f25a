package device

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jfreymuth/pulse/proto"

	"securecall/audio"
)

// What we ask of the server to keep before it plays, and to ask for at once, for a
// frame of so many octets. It may do more. Of what is left of the one without two
// of the other it takes half for the device: a frame, so that it wakes for each
// frame once.
func pulseBuffer(frame int) (target, request uint32) {
	return uint32(5 * frame / 2), uint32(frame / 4)
}

var (
	pulseSpec = proto.SampleSpec{Format: proto.FormatInt16LE, Channels: 1, Rate: audio.SampleRate}
	pulseMono = proto.ChannelMap{proto.ChannelMono}
)

const (
	// pulseMost is the most that a server is given at once, in octets: two seconds.
	pulseMost = 4 * audio.SampleRate

	asleep   = 200 * time.Millisecond // as audio/playout: a speaker that has not asked for so long
	mostLent = 2                      // frames that a server gets unasked
	settling = 50                     // frames, in which a stream that was just opened may run dry
	settled  = settling + 10          // after which it has heard that it is to go on then
	inFront  = 16                     // octets, 1 ms, that it gets then besides
	often    = 3                      // times, since each may: other programs, a machine that was asleep
)

// pulseName is how the server knows a device; it takes no name for the default.
// As for every program of libpulse, the environment may name another one.
func pulseName(spec, environment string) (string, error) {
	if spec == "default" {
		spec = os.Getenv(environment)
	}
	if len(spec) > pulseLongest {
		return "", errors.New("no device has so long a name")
	}
	return spec, nil
}

// stays tells whether a stream may be on no other device than the one that was named. Where a
// headset is unplugged, a server goes on at what else it has: a whole room would hear what was
// for one. We go on in silence until it is back. Who leaves the choice to the server gets it.
func stays(spec string) bool { return spec != "default" }

// pulseFailure says in plain words what a request ended in.
func pulseFailure(err error) error {
	switch {
	case errors.Is(err, proto.ErrNoSuchEntity):
		return errNoDevice
	case errors.Is(err, proto.ErrAccessDenied):
		return errors.New("the sound server refuses access")
	}
	return err
}

// openPulseSource records from a source of a PulseAudio server.
func openPulseSource(spec string, o Options) (audio.Source, error) {
	name, err := pulseName(spec, "PULSE_SOURCE")
	if err != nil {
		return nil, err
	}
	conn, err := dialPulse()
	if err != nil {
		return nil, err
	}
	c := newCapture(spec)
	c.release = conn.close
	conn.serve(handlers{data: c.push, lost: c.end.lose})
	request := proto.CreateRecordStream{
		SampleSpec:         pulseSpec,
		ChannelMap:         pulseMono,
		SourceIndex:        proto.Undefined,
		SourceName:         name,
		NoMove:             stays(spec),
		BufferMaxLength:    proto.Undefined,
		BufferFragSize:     uint32(2 * o.frame()),
		AdjustLatency:      true,
		DirectOnInputIndex: proto.Undefined,
		ChannelVolumes:     proto.ChannelVolumes{0x10000},
		Properties:         pulseProps(),
	}
	if err := conn.client.Request(&request, &proto.CreateRecordStreamReply{}); err != nil {
		conn.close()
		return nil, pulseFailure(err)
	}
	return c, nil
}

// pulseProps make the desktop treat the stream as a call, not as music.
func pulseProps() proto.PropList {
	return proto.PropList{
		"media.name": proto.PropListString("call"),
		"media.role": proto.PropListString("phone"),
	}
}

// A pulseSink plays to a sink of a PulseAudio server, at the pace at which the
// server asks for more.
//
// The server asks when it has taken a frame, and takes the next a frame later. To write
// at once would be to decide now about what is heard then: what arrives in between
// would be a frame later. So the sink lets its user wait for a quarter of that time. Where
// the server runs dry again and again, since a scheduler is not as quick as that, it
// waits for half as long from then on: each time that costs packets part of the room that
// they had, and perhaps a move of the delay in mid-speech.
type pulseSink struct {
	spec   string
	conn   *pulseConn
	index  uint32
	timer  *time.Timer
	end    *ending
	octets int // of a frame
	raw    []byte
	wrote  time.Time // when WriteFrame returned last

	alarm  alarm
	goesOn atomic.Bool // the server does, when it runs dry

	mu      sync.Mutex
	room    int           // octets that the server has asked for
	asked   time.Time     // when that became a frame
	hold    time.Duration // after which it is written
	lends   bool          // the server is one that may want more than it asks for
	step    int           // the most octets that it has asked for at once
	lent    int           // frames that it was given unasked
	played  int           // frames
	dry     int           // times that the server has run dry of late,
	lastDry int           // and the frames played by the last of them
	more    chan struct{} // capacity 1: it has asked
}

func openPulseSink(spec string, o Options) (audio.Sink, error) {
	name, err := pulseName(spec, "PULSE_SINK")
	if err != nil {
		return nil, err
	}
	conn, err := dialPulse()
	if err != nil {
		return nil, err
	}
	s := &pulseSink{
		spec:   spec,
		conn:   conn,
		timer:  stoppedTimer(),
		end:    newEnding(spec),
		octets: 2 * o.frame(),
		hold:   audio.Duration(o.frame()) / 4,
		more:   make(chan struct{}, 1),
	}
	s.alarm = newAlarm(o.KernelTimers, s.end.closed)
	conn.serve(handlers{want: s.wanted, dry: s.ranDry, lost: s.end.lose})
	target, least := pulseBuffer(s.octets)
	request := proto.CreatePlaybackStream{
		SampleSpec:         pulseSpec,
		ChannelMap:         pulseMono,
		SinkIndex:          proto.Undefined,
		SinkName:           name,
		NoMove:             stays(spec),
		BufferMaxLength:    proto.Undefined,
		BufferTargetLength: target,
		// It starts with a whole frame at hand; see keepTime for later.
		BufferPrebufferLength: uint32(s.octets),
		BufferMinimumRequest:  least,
		AdjustLatency:         true,
		ChannelVolumes:        proto.ChannelVolumes{0x10000},
		Properties:            pulseProps(),
	}
	var reply proto.CreatePlaybackStreamReply
	if err := conn.client.Request(&request, &reply); err != nil {
		s.Close()
		return nil, pulseFailure(err)
	}
	s.index = reply.StreamIndex
	// PulseAudio asks for what it wants; unasked, it would only keep it for longer.
	var server proto.GetServerInfoReply
	if err := conn.client.Request(&proto.GetServerInfo{}, &server); err == nil {
		s.lends = strings.Contains(server.PackageName, "PipeWire")
	}
	s.wanted(int(min(reply.Missing, pulseMost)))
	s.mu.Lock()
	s.step = 0 // that was all of its buffer
	s.mu.Unlock()
	return s, nil
}

// wanted is called by the connection's reader.
func (s *pulseSink) wanted(octets int) {
	s.mu.Lock()
	if s.room < s.octets {
		s.asked = time.Now()
	}
	s.room += octets
	s.step = max(s.step, octets)
	lost := s.room > pulseMost
	s.room = min(s.room, pulseMost)
	s.mu.Unlock()
	if lost {
		// It has gone on for that long without us. What we do not give it is asked for
		// only once: rather than be late by it for ever, begin anew.
		s.end.lose(errStalled)
	}
	wake(s.more)
}

// ranDry is called by the connection's reader.
func (s *pulseSink) ranDry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.played < settling {
		return
	}
	if s.played-s.lastDry > 60*settling {
		s.dry = 0
	}
	s.lastDry = s.played
	if s.dry++; s.dry == often {
		s.dry = 0
		s.hold /= 2
	}
}

func (s *pulseSink) WriteFrame(f audio.Frame) error {
	select {
	case <-s.end.closed:
		return os.ErrClosed
	case <-s.end.lost:
		return s.end.err
	default:
	}
	s.raw = appendFrame(s.raw[:0], f)
	s.mu.Lock()
	s.room -= len(s.raw)
	s.played++
	played := s.played
	if s.lends && s.step > s.octets {
		// What takes more than a frame at once (PipeWire) has made its buffer larger for that,
		// and would take that back.
		played = 0
	}
	s.mu.Unlock()
	switch played {
	case settling:
		go s.keepTime()
	case settled:
		if s.goesOn.Load() {
			for range inFront / 2 { // no step, which would click
				s.raw = slices.Insert(s.raw, 0, s.raw[:2]...)
			}
		}
	}
	if err := s.conn.play(s.index, s.raw); err != nil {
		s.end.lose(err)
		return s.end.err
	}
	s.timer.Reset(s.patience())
	defer s.timer.Stop()
	for begun := time.Now(); !s.hasRoom(); {
		select {
		case <-s.more:
		case <-s.end.closed:
			return os.ErrClosed
		case <-s.end.lost:
			return s.end.err
		case <-s.timer.C:
			switch {
			case s.hasRoom(): // we are what stood still
			case s.lend():
			case time.Since(begun) < stall:
				s.timer.Reset(stall)
			default:
				return &Error{Spec: s.spec, Err: errStalled, Hint: lostHint}
			}
		}
	}
	if d := s.early(); d > 0 {
		s.alarm.wait(d)
	}
	return s.skip()
}

// keepTime tells the server to go on when it has run dry. It would wait for a frame
// instead, and all that follows would be later by what it had missed, which a machine
// that pauses for 20 ms now and then makes of half a minute's call. What comes too
// late it leaves out, and asks for that much more. A server that refuses waits as before.
//
// One that resamples takes a sample more than a frame now and then, and has asked for a
// frame: it runs dry by that sample, again and again. So it gets inFront besides, when it
// no longer waits.
func (s *pulseSink) keepTime() {
	target, least := pulseBuffer(s.octets)
	request := proto.SetPlaybackStreamBufferAttr{
		StreamIndex:           s.index,
		BufferMaxLength:       proto.Undefined,
		BufferTargetLength:    target,
		BufferPrebufferLength: 0,
		BufferMinimumRequest:  least,
		AdjustLatency:         true,
	}
	err := s.conn.client.Request(&request, &proto.SetPlaybackStreamBufferAttrReply{})
	s.goesOn.Store(err == nil)
}

// skip makes up with silence for what a server asks for that has been away: whoever
// gives us frames was not asked for them then, and has left them out himself.
func (s *pulseSink) skip() error {
	now := time.Now()
	away := !s.wrote.IsZero() && now.Sub(s.wrote) >= asleep
	s.wrote = now
	s.mu.Lock()
	// Where we were what stood still, the server's word comes a moment later.
	if away = away || s.room >= 2*audio.Samples(asleep); !away {
		s.mu.Unlock()
		return nil
	}
	missed := max(0, s.room/s.octets-2) * s.octets
	s.room -= missed
	s.mu.Unlock()
	for ; missed > 0; missed -= s.octets {
		s.raw = s.raw[:s.octets]
		clear(s.raw)
		if err := s.conn.play(s.index, s.raw); err != nil {
			s.end.lose(err)
			return s.end.err
		}
	}
	return nil
}

// patience is for how long a server may ask for nothing. One that has just begun, and
// wants more at once than it says (PipeWire, whose graph runs in steps of 1024 samples),
// waits for that as we wait for it.
func (s *pulseSink) patience() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lends && s.played < settling && s.lent < mostLent {
		return 3 * audio.Duration(s.octets/2)
	}
	return stall
}

// lend has such a server get a frame for good that it has not asked for.
func (s *pulseSink) lend() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lends || s.played >= settling || s.lent >= mostLent {
		return false
	}
	s.lent++
	s.room += s.octets
	return true
}

// early is for how long the next frame need not be written yet.
func (s *pulseSink) early() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hold - time.Since(s.asked)
}

func (s *pulseSink) hasRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room >= s.octets
}

func (s *pulseSink) Close() error {
	s.end.close(func() {
		s.alarm.close()
		s.conn.close()
	})
	return nil
}

// listPulse lists the server's devices, microphones first; what records what
// is played comes after the real ones.
func listPulse() ([]Info, error) {
	conn, err := dialPulse()
	if err != nil {
		return nil, err
	}
	defer conn.close()
	var server proto.GetServerInfoReply
	var sources proto.GetSourceInfoListReply
	var sinks proto.GetSinkInfoListReply
	for _, ask := range []func() error{
		func() error { return conn.client.Request(&proto.GetServerInfo{}, &server) },
		func() error { return conn.client.Request(&proto.GetSourceInfoList{}, &sources) },
		func() error { return conn.client.Request(&proto.GetSinkInfoList{}, &sinks) },
	} {
		if err := ask(); err != nil {
			return nil, pulseFailure(err)
		}
	}
	slices.SortStableFunc(sources, func(a, b *proto.GetSourceInfoReply) int {
		return rank(a.MonitorSourceIndex) - rank(b.MonitorSourceIndex)
	})
	var infos []Info
	for _, s := range sources {
		infos = append(infos, Info{
			Name: s.SourceName, Label: s.Device, Driver: "pulse", Input: true,
			Default: s.SourceName == server.DefaultSourceName,
		})
	}
	for _, s := range sinks {
		infos = append(infos, Info{
			Name: s.SinkName, Label: s.Device, Driver: "pulse",
			Default: s.SinkName == server.DefaultSinkName,
		})
	}
	return infos, nil
}

// rank puts a source that is the monitor of a sink behind the others.
func rank(monitorOf uint32) int {
	if monitorOf == proto.Undefined {
		return 0
	}
	return 1
}
