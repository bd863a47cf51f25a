package playout

import (
	"securecall/audio"
	"securecall/audio/stretch"
)

const (
	// What is less than this too much delay stays: 5 ms.
	negligible = audio.SampleRate / 200
	// In a pause any length is left out or put in at once, up to this.
	pauseJump = audio.FrameSamples
	// What is this much weaker than the loudest (30 dB), or weaker than -60 dBFS,
	// is a pause.
	pauseRatio = 1000
	pausePower = 1 << 10
	aloud      = 10                     // 10 dB more than the background is speech
	piece      = audio.FrameSamples / 2 // level is judged in pieces of 10 ms

	overtureSettled = audio.SampleRate / 5  // samples, as long as nothing but silence has come
	settled         = 2 * audio.SampleRate  // for which the delay is not made shorter after it grew, or at first
	patient         = audio.SampleRate      // for which a little too much delay waits for a pause
	lingering       = 60 * audio.SampleRate // for which a frame too much stays, and the rhythm of speech as it is
	rested          = audio.SampleRate / 5  // for which speech is left alone after it was shrunk
)

// adjuster decides when the speech is stretched or shrunk.
type adjuster struct {
	spoken    bool  // something was louder than a pause, and than what is always there
	quietest  int64 // mean square of the softest piece so far
	loudest   int64 // mean square of the loudest frames, slowly forgotten
	growing   bool  // it is being made longer, which takes a few frames
	calm      int   // samples since the delay last had to grow
	wanted    int   // samples for which it has been to be shorter
	shrinking bool  // and is worth it
	pressed   int   // Pops for which speech was refused as unlike itself
	rest      int   // samples until speech is shrunk again

	pcm [audio.FrameSamples + pauseJump]int16
}

// history is what was played already and may be gone back to.
const history = pauseJump

// reshape fills f with stretched or shrunk sound if the delay should change
// and the sound at hand is fit for it.
func (b *Buffer) reshape(f audio.Frame) bool {
	a := &b.adjust
	a.rest = max(0, a.rest-b.frame)
	grow, shrink := 0, 0
	if b.arrivals.n > 0 {
		grow, shrink = b.arrivals.grow-b.delay, b.delay-b.arrivals.shrink
	}
	if a.growing && grow <= 0 {
		b.arrivals.regret = 0 // that was paid for
	}
	if a.growing = grow > 0; a.growing {
		a.calm, a.wanted, a.shrinking = 0, 0, false
		return b.longer(f, grow)
	}
	least := settled
	if !a.spoken {
		least = overtureSettled
	}
	if a.calm += b.frame; a.calm < least || shrink < negligible {
		a.wanted, a.pressed, a.shrinking = 0, 0, false
		b.listen()
		return false
	}
	a.wanted += b.frame
	a.shrinking = a.shrinking || shrink > audio.FrameSamples+negligible || a.wanted >= lingering
	if !a.shrinking {
		b.listen()
		return false
	}
	return b.shorter(f, shrink)
}

// listen keeps track of how loud speech is.
func (b *Buffer) listen() {
	a := &b.adjust
	n := b.ring.run(b.next(), b.frame)
	b.ring.read(a.pcm[:n], b.next())
	a.hear(a.pcm[:n])
}

// hear takes note of the level of pcm and tells whether all of it is a pause.
func (a *adjuster) hear(pcm []int16) (pause bool) {
	pause = len(pcm) >= piece
	for ; len(pcm) >= piece; pcm = pcm[piece:] {
		power := int64(0)
		for _, s := range pcm[:piece] {
			power += int64(s) * int64(s)
		}
		power /= piece
		if !a.spoken {
			if a.quietest == 0 || power < a.quietest {
				a.quietest = max(1, power)
			}
			if a.spoken = power > max(pausePower, aloud*a.quietest); a.spoken {
				a.calm = 0
			}
		}
		a.loudest = max(power, a.loudest-a.loudest>>11) // half of it in 14 s
		pause = pause && power <= max(pausePower, a.loudest/pauseRatio)
	}
	return pause
}

// longer puts something in: what is heard again is what was heard just before.
func (b *Buffer) longer(f audio.Frame, grow int) bool {
	a := &b.adjust
	at := b.next()
	if b.ring.run(at-history, history+b.frame) < history+b.frame {
		return false
	}
	pcm := a.pcm[:history+b.frame]
	b.ring.read(pcm, at-history)
	if a.hear(pcm) {
		// Half a frame at most, or one would hear it repeated.
		jump := -min(grow, pauseJump/2)
		stretch.Splice(f, pcm, history, 0, jump, 0)
		b.moved(jump)
		return true
	}
	high := min(stretch.MaxJump, max(2*stretch.MinJump, grow+negligible/2))
	cut, jump, likeness := a.best(pcm, history, b.frame, -high, -stretch.MinJump)
	if !a.fit(likeness) {
		return false
	}
	stretch.Splice(f, pcm, history, cut, jump, likeness)
	b.moved(jump)
	return true
}

// shorter leaves something out.
func (b *Buffer) shorter(f audio.Frame, shrink int) bool {
	a := &b.adjust
	at := b.next()
	n := b.ring.run(at, b.frame+pauseJump)
	if n < b.frame {
		return false
	}
	pcm := a.pcm[:n]
	b.ring.read(pcm, at)
	spare := min(shrink, n-b.frame)
	if a.hear(pcm) {
		if spare < negligible {
			return false
		}
		stretch.Splice(f, pcm, 0, 0, spare, 0)
		b.moved(spare)
		return true
	}
	if spare < stretch.MinJump || a.rest > 0 || shrink < 3*audio.FrameSamples && a.wanted < patient {
		return false
	}
	cut, jump, likeness := a.best(pcm, 0, b.frame, stretch.MinJump, min(spare, stretch.MaxJump))
	if !a.fit(likeness) {
		return false
	}
	stretch.Splice(f, pcm, 0, cut, jump, likeness)
	b.moved(jump)
	// The more is too much, the faster it goes: 100 ms in half a second, the
	// last 20 ms in one.
	a.rest = min(rested, rested*3*audio.FrameSamples/shrink/2)
	return true
}

// best looks for the most alike splice, at the beginning, the middle or the
// end of the frame that starts at pcm[from].
func (a *adjuster) best(pcm []int16, from, frame, low, high int) (cut, jump int, likeness float64) {
	likeness = -2
	for at := 0; at+stretch.Overlap <= frame; at += stretch.Overlap / 2 {
		if j, l := stretch.Find(pcm, from+at, low, high); l > likeness {
			cut, jump, likeness = at, j, l
		}
		if likeness > 0.95 {
			break
		}
	}
	return cut, jump, likeness
}

// fit tells whether a splice is good enough; less is asked for the longer it is
// waited for.
func (a *adjuster) fit(likeness float64) bool {
	if likeness < 0.9-0.05*float64(a.pressed) {
		a.pressed++
		return false
	}
	a.pressed = 0
	return true
}

// moved makes the delay what it is after a splice.
func (b *Buffer) moved(jump int) {
	b.delay -= jump
	if jump < 0 {
		b.stats.Stretched += audio.Duration(-jump)
	} else {
		b.stats.Shrunk += audio.Duration(jump)
	}
}
