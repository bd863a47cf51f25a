//go:build unix

package device

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
)

// What is written to a file that was deleted is lost, though every write succeeds: that is
// a failure, told within two seconds. A file that was only moved is there.
func TestRecordingThatIsRemoved(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(path string) error
		lost bool
	}{
		"removed": {os.Remove, true},
		"moved":   {func(path string) error { return os.Rename(path, path+".moved") }, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, path := newRecording(t)
			talk := func() {
				for range 2 * time.Second / audio.FrameDuration {
					r.Said(marked(7))
					r.Heard(marked(8))
					time.Sleep(audio.FrameDuration)
					synctest.Wait()
				}
			}
			talk()
			if err := errors.Join(r.Failed(), c.do(path)); err != nil {
				t.Fatal(err)
			}
			talk()
			if err := r.Failed(); errors.Is(err, errRemoved) != c.lost || (err != nil) != c.lost {
				t.Errorf("%s: %v", name, err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("%s: it was told already, and again: %v", name, err)
			}
		})
	}
}
