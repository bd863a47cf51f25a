package punched

import (
	"testing"
	"time"

	"securecall/nat/memnet"
)

func TestWays(t *testing.T) {
	cases := []struct {
		name   string
		nats   []memnet.NAT
		conf   Config
		kind   Kind
		within time.Duration
	}{
		{"no NAT", nil, Config{}, Direct, 2*roundTrip + 100*time.Millisecond},
		{
			"two ordinary NATs",
			[]memnet.NAT{ordinary(aliceNAT, aliceNet), ordinary(bobNAT, bobNet)},
			withSTUN, Punched, 2*roundTrip + 100*time.Millisecond,
		},
		{
			"one ordinary NAT and one symmetric, which filters by address",
			[]memnet.NAT{
				{Public: aliceNAT, Inside: aliceNet, Filtering: memnet.AddressDependent},
				symmetric(bobNAT, bobNet),
			},
			withSTUN, Punched, 2*roundTrip + 100*time.Millisecond,
		},
		{
			"two symmetric NATs",
			[]memnet.NAT{symmetric(aliceNAT, aliceNet), symmetric(bobNAT, bobNet)},
			// Twice the way to the relay and back, once each for permission,
			// check and nomination; and the wait.
			withTURN, Relayed, 500*time.Millisecond + 6*roundTrip,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := network()
				for _, nat := range c.nats {
					n.AddNAT(nat)
				}
				serve(t, n)
				a, b := side(t, n, alice, true, c.conf), side(t, n, bob, false, c.conf)
				gather(t, a, b)
				took, err := connect(t, a, b)
				if err != nil {
					t.Fatalf("after %v: %v", took, err)
				}
				t.Logf("%v: %v and %v", took, a.Route(), b.Route())
				if took > c.within {
					t.Errorf("took %v, not %v", took, c.within)
				}
				if a.Route().Kind != c.kind || b.Route().Kind != c.kind {
					t.Errorf("%v and %v, not %v", a.Route(), b.Route(), c.kind)
				}
				talk(t, a, b)
			})
		})
	}
}
