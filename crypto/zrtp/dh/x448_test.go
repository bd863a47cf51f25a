package dh

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"

	"securecall/crypto/zrtp/wire"
)

// curve448 is the function X448 of RFC 7748, Section 5: scalar and u-coordinate in,
// u-coordinate out.
func curve448(t *testing.T, scalar, u []byte) []byte {
	t.Helper()
	k, err := lookup(t, wire.X448).Initiate(bytes.NewReader(scalar))
	if err != nil {
		t.Fatal(err)
	}
	out, err := k.Shared(u)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// RFC 7748, Section 5.2: two vectors, then the iteration.
func TestX448(t *testing.T) {
	for _, c := range []struct{ scalar, in, out string }{
		{
			"3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3",
			"06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086",
			"ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239fe14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f",
		},
		{
			"203d494428b8399352665ddca42f9de8fef600908e0d461cb021f8c538345dd77c3e4806e25f46d3315c44e0a5b4371282dd2c8d5be3095f",
			"0fbcc2f993cd56d3305b0b7d9e55d4c1a8fb5dbb52f8e9a1e9b6201b165d015894e56c4d3570bee52fe205e28a78b91cdfbde71ce8d157db",
			"884a02576239ff7a2f2f63b2db6a9ff37047ac13568e1e30fe63c4a7ad1b3ee3a5700df34321d62077e63633c575c1c954514e99da7c179d",
		},
	} {
		if got := curve448(t, unhex(t, c.scalar), unhex(t, c.in)); !bytes.Equal(got, unhex(t, c.out)) {
			t.Errorf("%x", got)
		}
	}
	k := append([]byte{5}, make([]byte, 55)...)
	u := k
	for i := 1; i <= 1000; i++ {
		k, u = curve448(t, k, u), k
		want, ok := map[int]string{
			1:    "3f482c8a9f19b01e6c46ee9711d9dc14fd4bf67af30765c2ae2b846a4d23a8cd0db897086239492caf350b51f833868b9bc2b3bca9cf4113",
			1000: "aa3b4749d55b9daf1e5b00288826c467274ce3ebbdd5c17b975e09d4af6c67cf10d087202db88286e2b79fceea3ec353ef54faa26e219f38",
		}[i]
		if ok && !bytes.Equal(k, unhex(t, want)) {
			t.Errorf("after %d: %x", i, k)
		}
	}
}

// RFC 7748, Section 6.2: "As with X25519, both sides MAY check, without leaking
// extra information about the value of K, whether the resulting shared K is the
// all-zero value and abort if so". We do. Section 5: "Implementations MUST accept
// non-canonical values and process them as if they had been reduced modulo the
// field prime".
func TestBadX448Values(t *testing.T) {
	a := lookup(t, wire.X448)
	k, err := a.Initiate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// p = 2^448 - 2^224 - 1, the lowest byte first: its halves.
	half := func(low, rest byte) []byte { return append([]byte{low}, bytes.Repeat([]byte{rest}, 27)...) }
	high, higher := half(0xfe, 0xff), half(0xff, 0xff)
	for name, pv := range map[string][]byte{
		"0":   make([]byte, 56),
		"1":   append([]byte{1}, make([]byte, 55)...),
		"p-1": slices.Concat(half(0xfe, 0xff), high),
		"p":   slices.Concat(half(0xff, 0xff), high),
		"p+1": slices.Concat(half(0, 0), higher),
	} {
		refuses(t, a, k, name, pv)
	}
	five, fiveAndP := append([]byte{5}, make([]byte, 55)...), slices.Concat(half(4, 0), higher)
	want, err := k.Shared(five)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Shared(fiveAndP); err != nil || !bytes.Equal(got, want) {
		t.Errorf("5 + p is not 5: %v", err)
	}
	if !bytes.Equal(k.Public(), want) {
		t.Error("5 is not the base point")
	}
}
