//go:build !linux || !(amd64 || arm64 || arm || riscv64 || loong64)

package device

func newKernelAlarm() alarm { return nil }
