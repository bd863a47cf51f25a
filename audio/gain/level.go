package gain

import (
	"math"
	"slices"

	"securecall/audio"
)

const rate = audio.SampleRate

// A level is how loud speech is while it lasts, in the blocks in which there is some and
// in the shorter gaps between them: ITU-T P.56's active level, but for two things. What
// is heard counts only once it has become quiet again: syllables end after some tenths
// of a second, noise does not. And it is the mean of the amplitudes of syllables, not of
// their powers, so that a loud voice is sooner forgotten when a soft one follows.
type level struct {
	in, low  float64 // of the high-pass filter: the last sample, and its output
	power    float64 // of the last block
	envelope float64 // of the power

	lows [parts]float64 // least envelopes, a ring
	turn int
	age  int // blocks of the newest of lows

	sum    float64 // of the amplitudes of what has counted
	heard  float64 // its blocks
	new    float64 // energy of what has not ended yet
	blocks float64
	hang   int // blocks that a gap may last

	played float64 // power of what the loudspeaker plays
	hold   int     // blocks until that is forgotten
}

const (
	highPass = 0.85 // of the last output: below 200 Hz there is more noise than speech
	smooth   = 0.6  // of the envelope, in a block

	parts = 8
	part  = 25 // blocks: the background is the least of two seconds

	above  = 6.3   // times the background, 8 dB, is speech
	least  = 1074. // power: -60 dB of full scale
	dip    = 0.25  // of the mean, at which a syllable has ended
	gap    = 20    // blocks: P.56's hangover of 200 ms
	long   = 300   // blocks of speech, 3 s, that the mean is taken over
	enough = 100   // blocks, after which a shout is taken for at most
	shout  = 5.0   // times the mean
	fewer  = 1.7   // dB, by which the mean amplitude is below the power that P.56 measures

	echoed = 0.25 // of the power of what is played may come back, and more be our speech
	lasts  = 40   // blocks for which it may
)

// hear takes in a block and tells whether there is speech in it.
func (l *level) hear(pcm []int16) bool {
	l.follow(pcm)
	speech := l.envelope > max(least, above*l.floor(), echoed*l.played)
	if speech {
		l.hang = gap
	}
	if l.hang > 0 {
		l.hang--
		l.new += l.power
		l.blocks++
		// Noise that has begun is loud until it is known for a background.
		if l.envelope < dip*l.new/l.blocks {
			l.count()
		}
	} else {
		l.new, l.blocks = 0, 0
	}
	return speech
}

// follow keeps track of the envelope, and of what is least of it.
func (l *level) follow(pcm []int16) {
	l.power = 0
	for _, v := range pcm {
		x := float64(v)
		l.low = highPass*l.low + (1+highPass)/2*(x-l.in)
		l.in = x
		l.power += l.low * l.low / Block
	}
	l.envelope = smooth*l.envelope + (1-smooth)*l.power
	l.lows[l.turn] = min(l.lows[l.turn], l.envelope)
	if l.age++; l.age == part {
		l.age, l.turn = 0, (l.turn+1)%parts
		l.lows[l.turn] = math.Inf(1)
	}
	if l.hold--; l.hold < 0 {
		l.played *= smooth
	}
}

// count takes what was heard since the last dip for speech.
func (l *level) count() {
	amplitude := math.Sqrt(l.new / l.blocks)
	if l.heard > enough {
		amplitude = min(amplitude, shout*l.sum/l.heard)
	}
	l.sum += amplitude * l.blocks
	l.heard += l.blocks
	if l.heard > long {
		l.sum *= long / l.heard
		l.heard = long
	}
	l.new, l.blocks = 0, 0
}

// far takes in what the loudspeaker plays.
func (l *level) far(pcm []int16) {
	for ; len(pcm) >= Block; pcm = pcm[Block:] {
		sum := 0.0
		for _, v := range pcm[:Block] {
			sum += float64(v) * float64(v)
		}
		if p := sum / Block; p >= l.played {
			l.played, l.hold = p, lasts
		}
	}
}

// floor is the power of the background.
func (l *level) floor() float64 { return slices.Min(l.lows[:]) }

// speech and background are in dB of full scale.
func (l *level) speech() float64     { return decibels(l.sum*l.sum/(l.heard*l.heard)) + fewer }
func (l *level) background() float64 { return decibels(l.floor()) }

func decibels(power float64) float64 { return 10 * math.Log10(power/(1<<30)+1e-12) }
