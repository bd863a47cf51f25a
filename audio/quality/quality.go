// Package quality estimates how a call sounds from what is measured of it: the
// E-model of ITU-T G.107 (06/2015), for G.711 with the values of ITU-T G.113,
// Appendix I.
//
// It is pure functions of numbers: no I/O, no state, no allocation. Its owner
// counts the losses (package playout) and measures the delay (RTCP).
//
// Done: the loss of packets and its burstiness (Ie,eff, G.107, Section 7.5),
// delay (Idd, Section 7.4.3) and, where it is known, talker echo (Idte, Section
// 7.4.1). Everything else has G.107's default values (its Table 2): loudness,
// room noise, sidetone, one A-law coding, no advantage factor. Left out: listener
// echo (Idle), which at those values is below 1 up to 600 ms round trip; the
// delay sensitivity class (sT and mT keep 1 and 100 ms); what stretching and
// shrinking of speech does, for which the E-model has no term; and whether the
// person at the other end speaks too softly, which no packet tells.
package quality

import (
	"math"
	"time"
)

// A Connection is the way from one mouth to the other ear. The zero
// Connection is as good as G.711 gets.
type Connection struct {
	Delay      time.Duration // Ta, from the mouth to the ear
	Loss       float64       // Ppl, of packets, in percent: what was not there when it was to be heard
	BurstRatio float64       // BurstR; 1 at random, more in bursts; 0 is taken as 1
	Silent     bool          // what is lost is silence; otherwise it is concealed (G.711, Appendix I)
	Echo       float64       // TELR, loudness rating of our own voice as it comes back, dB; 0: none is heard
}

const (
	// basic is Ro-Is at the default values, less the listener echo that they
	// have without delay (G.107, Table 2: "R = 93.2").
	basic = 93.2

	// G.113, Appendix I, Table I.4: G.711 with packets of 10 to 20 ms.
	ie           = 0
	bplConcealed = 25.1
	bplSilent    = 4.3

	noise = -61.18 // No, dBm0p, at the default values (G.107, equation 7-3)
	rlr   = 2      // dB, the default
)

// R is the transmission rating factor (G.107, Section 7): 93.2 at best, below
// 60 many are dissatisfied. It may be negative.
func (c Connection) R() float64 {
	return basic - idd(c.Delay) - idte(c.Delay, c.Echo) - c.equipment()
}

// MOS is R on the scale of opinions: 1 to 4.5 (G.107, Annex B).
func (c Connection) MOS() float64 { return MOS(c.R()) }

// MOS is the mean opinion score on the scale from 1 (bad) to 5 (excellent) that
// belongs to a rating (G.107, Annex B). The polynomial dips below 1 for the
// smallest ratings, where an opinion cannot follow.
func MOS(r float64) float64 {
	switch {
	case r >= 100:
		return 4.5
	case r > 0:
		return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
	}
	return 1 // NaN too
}

// equipment is Ie,eff, the effective equipment impairment (G.107, Section 7.5).
func (c Connection) equipment() float64 {
	loss, bpl := min(max(c.Loss, 0), 100), bplConcealed
	if c.Silent {
		bpl = bplSilent
	}
	return ie + (95-ie)*loss/(loss/max(1, c.BurstRatio)+bpl)
}

// idd is the impairment by delay alone, which shows in conversation only (G.107,
// Section 7.4.3, with the default sT = 1 and mT = 100 ms).
func idd(delay time.Duration) float64 {
	ta := milliseconds(delay)
	if ta <= 100 {
		return 0
	}
	x := math.Log2(ta / 100)
	return 25 * (sixth(x) - 3*sixth(x/3) + 2)
}

func sixth(x float64) float64 { return math.Pow(1+math.Pow(x, 6), 1./6) }

// idte is the impairment by hearing oneself, so much quieter and after going
// there and back (G.107, Section 7.4.1, at the default sidetone, for which STMR
// is between 9 and 15).
func idte(delay time.Duration, telr float64) float64 {
	t := milliseconds(delay)
	if t < 1 || telr <= 0 {
		return 0
	}
	const roe = -1.5 * (noise - rlr)
	terv := telr - 40*math.Log10((1+t/10)/(1+t/150)) + 6*math.Exp(-0.3*t*t)
	re := 80 + 2.5*(terv-14)
	half := (roe - re) / 2
	return (half + math.Sqrt(half*half+100) - 1) * (1 - math.Exp(-t))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
