package playout

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"securecall/audio"
	"securecall/audio/speech"
)

const frame = audio.FrameDuration

// A line is a sender, a path that the test decides about and a speaker, in
// virtual time. What is not said otherwise: packets of 20 ms without end, each
// 5 ms before a Pop, on clocks that agree.
type line struct {
	b     *Buffer
	begin time.Time
	rand  *rand.Rand

	seq    uint16
	ts     uint32
	voice  []int16       // what is said, over and over
	from   int           // where in it that begins
	length int           // samples of a packet
	frame  int           // and of what the speaker asks for
	ppm    float64       // the sender's clock is slower by so much
	phase  time.Duration // when the first packet is sent
	copies int           // packets after which a redundant copy follows; 0: never

	path func(sent time.Duration) (delay time.Duration, lost bool)
	pops func(i int) time.Duration // when the speaker asks for the i'th frame

	said  []int16
	heard []int16
	waits time.Duration // mean of Stats.Delay over the Pops
	found []bool        // what Pop said
}

func newLine(seed uint64) *line { return newShortLine(seed, audio.FrameSamples) }

// newShortLine is a line whose speaker asks for so many samples at once.
func newShortLine(seed uint64, samples int) *line {
	return &line{
		b: New(Config{Frame: samples}), frame: samples, begin: time.Unix(1000, 0), rand: rand.New(rand.NewPCG(seed, 7)), voice: voice,
		seq: 65000, ts: 1<<32 - 20000, length: audio.FrameSamples, phase: 15 * time.Millisecond,
		path: func(time.Duration) (time.Duration, bool) { return 0, false },
		pops: func(i int) time.Duration { return audio.Duration(i * samples) },
	}
}

type delivery struct {
	at     time.Duration
	p      Packet
	copied *Packet
}

// voice is a few seconds of speech.
var voice = speech.Samples()

// say makes the next packet.
func (l *line) say() Packet {
	pcm := make([]int16, l.length)
	for i := range pcm {
		pcm[i] = l.voice[(l.from+len(l.said)+i)%len(l.voice)]
	}
	p := Packet{Seq: l.seq, Timestamp: l.ts, Law: audio.PCMA, Payload: make([]byte, l.length)}
	p.Law.Encode(p.Payload, pcm)
	p.Law.Decode(pcm, p.Payload)
	l.said = append(l.said, pcm...)
	l.seq++
	l.ts += uint32(l.length)
	return p
}

// talk makes the packets from one moment to another and sends them.
func (l *line) talk(from, to time.Duration) (all []delivery) {
	var before []Packet
	step := time.Duration(float64(audio.Duration(l.length)) * (1 + l.ppm/1e6))
	for sent := from + l.phase; sent < to+l.phase; sent += step {
		p := l.say()
		d := delivery{p: p}
		before = append(before, p)
		if l.copies > 0 && len(before) > l.copies {
			d.copied = &before[len(before)-1-l.copies]
		}
		delay, lost := l.path(sent)
		if d.at = sent + delay; !lost {
			all = append(all, d)
		}
	}
	return all
}

// play lets it arrive and listens for so long.
func (l *line) play(all []delivery, length time.Duration) {
	slices.SortStableFunc(all, func(a, b delivery) int { return int(a.at - b.at) })
	for i := 0; ; i++ {
		now := l.pops(i)
		if now >= length {
			break
		}
		for len(all) > 0 && all[0].at <= now {
			at := l.begin.Add(all[0].at)
			l.b.Push(at, all[0].p)
			if c := all[0].copied; c != nil {
				l.b.Recover(at, c.Timestamp, int(all[0].p.Timestamp-c.Timestamp), c.Law, c.Payload)
			}
			all = all[1:]
		}
		f := make(audio.Frame, l.frame)
		l.found = append(l.found, l.b.Pop(l.begin.Add(now), f))
		l.heard = append(l.heard, f[:]...)
		l.waits += l.b.stats.Delay
	}
	l.waits /= time.Duration(len(l.found))
}

// run is a whole call of so long.
func (l *line) run(length time.Duration) Stats {
	l.play(l.talk(0, length), length)
	return l.b.Stats()
}

func ms(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

// uniform is a path of delay d, give or take j.
func (l *line) uniform(d, j time.Duration) func(time.Duration) (time.Duration, bool) {
	return func(time.Duration) (time.Duration, bool) {
		return d - j + time.Duration(l.rand.Int64N(int64(2*j)+1)), false
	}
}

// normal is a path whose delay has a standard deviation.
func (l *line) normal(d, sigma time.Duration) func(time.Duration) (time.Duration, bool) {
	return func(time.Duration) (time.Duration, bool) {
		return max(0, d+time.Duration(l.rand.NormFloat64()*float64(sigma))), false
	}
}

// lossy adds losses to a path: the share p of packets, in runs of mean length
// run (Gilbert).
func (l *line) lossy(path func(time.Duration) (time.Duration, bool), p, run float64) func(time.Duration) (time.Duration, bool) {
	bad := false
	return func(sent time.Duration) (time.Duration, bool) {
		delay, lost := path(sent)
		switch u := l.rand.Float64(); {
		case run <= 1:
			bad = u < p
		case bad:
			bad = u >= 1/run
		default:
			bad = u < p/run/(1-p)
		}
		return delay, lost || bad
	}
}

// index is where part is in whole; -1: nowhere.
func index(whole, part []int16) int {
	w, p := octets(whole), octets(part)
	for from := 0; ; {
		i := bytes.Index(w[from:], p)
		switch {
		case i < 0:
			return -1
		case (from+i)%2 == 0:
			return (from + i) / 2
		}
		from += i + 1
	}
}

func octets(pcm []int16) []byte {
	b := make([]byte, 0, 2*len(pcm))
	for _, s := range pcm {
		b = append(b, byte(s), byte(s>>8))
	}
	return b
}

// alike is the best normalised correlation of heard with said, and the shift of
// heard against said that it takes, from 0 to most samples.
func alike(said, heard []int16, most int) (shift int, best float64) {
	for s := range most {
		n := min(len(said), len(heard)-s)
		var ab, aa, bb float64
		for i := 0; i < n; i++ {
			x, y := float64(said[i]), float64(heard[i+s])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		if c := ab / math.Sqrt(aa*bb+1); c > best {
			shift, best = s, c
		}
	}
	return shift, best
}

func percent(part, whole uint64) float64 { return 100 * float64(part) / float64(max(1, whole)) }
