package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"securecall/audio/device"
)

var someDevices = []device.Info{
	{Name: "alsa_input.usb", Label: "USB\x1b[31m headset", Driver: "pulse", Input: true, Default: true},
	{Name: "Built-in", Label: "Built-in", Driver: "miniaudio", Input: true},
	{Name: "alsa_output.usb", Label: "USB headset", Driver: "pulse", Default: true},
}

func TestDevices(t *testing.T) {
	var b bytes.Buffer
	if err := printDevices(&b, someDevices); err != nil {
		t.Fatal(err)
	}
	if err := printDevices(&b, nil); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/devices.txt", b.Bytes())
}

func TestDeviceLines(t *testing.T) {
	var b bytes.Buffer
	if err := printDeviceLines(&b, someDevices); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != len(someDevices) {
		t.Fatalf("%d lines for %d devices", len(lines), len(someDevices))
	}
	want := `{"v":1,"kind":"mic","name":"alsa_input.usb","label":"USB[31m headset","driver":"pulse","default":true}`
	if lines[0] != want || !json.Valid([]byte(lines[0])) {
		t.Errorf("got %s\nwant %s", lines[0], want)
	}
	b.Reset()
	if err := printDeviceLines(&b, nil); err != nil || b.Len() > 0 {
		t.Errorf("no devices: %q, %v", &b, err)
	}
}
