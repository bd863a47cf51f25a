//go:build cgo && (linux || darwin || windows)

package device

import (
	"bytes"
	"runtime"
	"slices"
	"time"

	"github.com/gen2brain/malgo"

	"securecall/audio"
)

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
	config.SampleRate = audio.SampleRate
	config.Capture.Format = malgo.FormatS16
	config.Capture.Channels = 1
	config.PeriodSizeInFrames = uint32(o.frame())
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
	device, err := malgo.InitDevice(context.Context, config, malgo.DeviceCallbacks{
		Data: func(_, in []byte, _ uint32) { c.push(in) },
		Stop: func() { c.end.lose(errGone) },
	})
	if err != nil {
		freeMalgoContext(context)
		return nil, errNoSound
	}
	c.release = func() {
		// It may wait for ever for a driver that is dead.
		_, _ = within(time.Second, func() (struct{}, error) {
			device.Uninit()
			freeMalgoContext(context)
			return struct{}{}, nil
		}, func(struct{}) {})
	}
	if err := device.Start(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// malgoID finds a microphone by the name that listMalgo gives it.
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
	return nil
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
