//go:build cgo && (linux || darwin || windows)

package device

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/gen2brain/malgo"

	"securecall/audio"
)

// alsaLongest is one more than the longest name of ALSA's that miniaudio takes.
const alsaLongest = 256

// malgoBackends are the drivers that miniaudio may use. Without a list it
// would fall back to one that records silence from nothing.
func malgoBackends() []malgo.Backend {
	switch runtime.GOOS {
	case "windows":
		return []malgo.Backend{malgo.BackendWasapi}
	case "darwin":
		return []malgo.Backend{malgo.BackendCoreaudio}
	}
	return []malgo.Backend{malgo.BackendAlsa}
}

func newMalgoContext() (*malgo.AllocatedContext, error) {
	quietALSA()
	context, err := malgo.InitContext(malgoBackends(), malgo.ContextConfig{}, nil)
	if err != nil {
		return nil, errNoSound
	}
	return context, nil
}

func freeMalgoContext(context *malgo.AllocatedContext) {
	_ = context.Uninit()
	context.Free()
}

// openMalgoSource records through miniaudio.
func openMalgoSource(spec string, o Options) (audio.Source, error) {
	context, err := newMalgoContext()
	if err != nil {
		return nil, err
	}
	config := malgo.DefaultDeviceConfig(malgo.Capture)
	config.SampleRate = 0 // the device's own: miniaudio would convert linearly
	config.Capture.Format = malgo.FormatS16
	config.Capture.Channels = 1
	config.PeriodSizeInMilliseconds = uint32(audio.Duration(o.frame()).Milliseconds())
	config.PerformanceProfile = malgo.LowLatency
	if spec != "default" {
		id := malgoID(context, spec)
		if id == nil {
			freeMalgoContext(context)
			return nil, errNoDevice
		}
		config.Capture.DeviceID = id.Pointer() // C memory, as long as an ID, once a call
	}
	c := newCapture(spec)
	var fromRate *resampler // of the device
	var raw []byte
	device, err := malgo.InitDevice(context.Context, config, malgo.DeviceCallbacks{
		Data: func(_, in []byte, _ uint32) {
			raw = raw[:0]
			for ; len(in) >= 2; in = in[2:] {
				raw = fromRate.appendSample(raw, int16(binary.LittleEndian.Uint16(in)))
			}
			c.push(raw)
		},
		Stop: func() { c.end.lose(errGone) },
	})
	if err != nil {
		freeMalgoContext(context)
		return nil, malgoFailure(spec, err)
	}
	c.release = func() {
		// It may wait for ever for a driver that is dead.
		_, _ = within(time.Second, func() (struct{}, error) {
			device.Uninit()
			freeMalgoContext(context)
			return struct{}{}, nil
		}, func(struct{}) {})
	}
	fromRate = newResampler(int(device.SampleRate()), audio.SampleRate, liveLowpass)
	if err := device.Start(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// malgoFailure says in plain words why a microphone cannot be opened.
func malgoFailure(spec string, err error) error {
	switch {
	case spec == "default":
		return errNoSound
	case errors.Is(err, malgo.ErrDoesNotExist):
		return errNoDevice
	}
	return err
}

// malgoID finds a microphone by the name that listMalgo gives it, or by one that
// only ALSA knows: hw:1,0 where two cards are called the same, or one's own from
// .asoundrc. Whether there is such a one shows when it is opened.
func malgoID(context *malgo.AllocatedContext, name string) *malgo.DeviceID {
	devices, err := context.Devices(malgo.Capture)
	if err != nil {
		return nil
	}
	for i := range devices {
		if got, real := malgoName(&devices[i]); real && got == name {
			return &devices[i].ID
		}
	}
	var id malgo.DeviceID
	if runtime.GOOS != "linux" || len(name) >= alsaLongest {
		return nil
	}
	copy(id[:], name)
	return &id
}

// malgoName is a device's name. ALSA has names for much that is no device: it
// is one if it is a card's, or the default.
func malgoName(d *malgo.DeviceInfo) (name string, real bool) {
	if runtime.GOOS != "linux" {
		return d.Name(), true
	}
	id, _, _ := bytes.Cut(d.ID[:], []byte{0})
	if string(id) == "default" {
		return "default", true
	}
	return d.Name(), bytes.HasPrefix(id, []byte(":")) // :CARD,DEVICE
}

// listMalgo lists microphones.
func listMalgo() []Info {
	context, err := newMalgoContext()
	if err != nil {
		return nil
	}
	defer freeMalgoContext(context)
	devices, err := context.Devices(malgo.Capture)
	if err != nil {
		return nil
	}
	var infos []Info
	hasDefault := false
	for i := range devices {
		name, real := malgoName(&devices[i])
		if !real {
			continue
		}
		info := Info{Name: name, Label: devices[i].Name(), Driver: "miniaudio", Input: true, Default: devices[i].IsDefault != 0}
		hasDefault = hasDefault || info.Default
		infos = append(infos, info)
	}
	// With a card ALSA has a default, whether it lists it or not.
	if len(infos) > 0 && !hasDefault {
		infos = slices.Insert(infos, 0, Info{Name: "default", Label: "default microphone", Driver: "miniaudio", Input: true, Default: true})
	}
	return infos
}
