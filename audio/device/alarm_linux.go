//go:build linux && (amd64 || arm64 || arm || riscv64 || loong64)

package device

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// A kernelAlarm is a timerfd. Go's own timers wake an idle process twice for
// each tick, since they wait in whole milliseconds, rounded down, and once more
// for the rest: docs/notes/one-processor.md has the figures.
type kernelAlarm struct {
	file  *os.File
	raw   syscall.RawConn
	set   func(fd uintptr)
	spent func(fd uintptr) bool

	spec  struct{ interval, value syscall.Timespec }
	count uint64 // of ticks: there is but one at a time
}

const clockMonotonic = 1

func newKernelAlarm() alarm {
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil
	}
	a := &kernelAlarm{file: os.NewFile(fd, "timerfd")}
	var err error
	if a.raw, err = a.file.SyscallConn(); err != nil {
		a.file.Close()
		return nil
	}
	a.set = func(fd uintptr) {
		syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&a.spec)), 0, 0, 0)
	}
	a.spent = func(fd uintptr) bool {
		_, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&a.count)), unsafe.Sizeof(a.count))
		return errno == 0
	}
	return a
}

func (a *kernelAlarm) wait(d time.Duration) {
	a.spec.value = syscall.NsecToTimespec(max(int64(d), 1)) // 0 would disarm it
	if a.raw.Control(a.set) == nil {
		_ = a.raw.Read(a.spent) // an error: it was closed
	}
}

func (a *kernelAlarm) close() { _ = a.file.Close() }
