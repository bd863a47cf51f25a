package rendezvous

import (
	"crypto/rand"
	"math/big"
)

// Numbers come in classes, by how many digits they have; the first is of one
// and two, 1 to 99. A person reads the number aloud, so it should be short;
// others should not guess it, so it is drawn from many that are free.
const classes = 8

// class is the numbers of class i, from 0: low to high, inclusive.
func class(i int) (low, high uint32) {
	low, high = 1, 99
	for range i {
		low, high = high+1, high*10+9
	}
	return low, high
}

// classOf is the class that a number belongs to.
func classOf(number uint32) int {
	for i := range classes {
		if _, high := class(i); number <= high {
			return i
		}
	}
	return classes
}

// draw is a random number of class i.
func draw(i int) uint32 {
	low, high := class(i)
	n, err := rand.Int(rand.Reader, big.NewInt(int64(high-low+1)))
	if err != nil {
		panic(err) // documented not to happen
	}
	return low + uint32(n.Int64())
}
