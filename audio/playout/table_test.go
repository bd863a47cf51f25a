package playout

import (
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	type condition struct {
		name string
		set  func(l *line)
	}
	for _, c := range []condition{
		{"clean", func(l *line) {}},
		{"clean, a packet right before each Pop", func(l *line) { l.phase = ms(19) }},
		{"loss 5 %", func(l *line) { l.path = l.lossy(l.path, 0.05, 1) }},
		{"loss 10 % in runs of 4", func(l *line) { l.path = l.lossy(l.path, 0.1, 4) }},
		{"loss 10 %, copies", func(l *line) { l.path = l.lossy(l.path, 0.1, 1); l.copies = 1 }},
		{"loss 10 %, copies 2 later", func(l *line) { l.path = l.lossy(l.path, 0.1, 1); l.copies = 2 }},
		{"10 ± 5 ms", func(l *line) { l.path = l.uniform(ms(10), ms(5)) }},
		{"40 ± 20 ms", func(l *line) { l.path = l.uniform(ms(40), ms(20)) }},
		{"40 ± 40 ms", func(l *line) { l.path = l.uniform(ms(40), ms(40)) }},
		{"40 ± 20 ms, loss 5 %", func(l *line) { l.path = l.lossy(l.uniform(ms(40), ms(20)), 0.05, 1) }},
		{"60 ms, sigma 10 ms", func(l *line) { l.path = l.normal(ms(60), ms(10)) }},
		{"60 ms, sigma 20 ms", func(l *line) { l.path = l.normal(ms(60), ms(20)) }},
		{"drift +200 ppm", func(l *line) { l.ppm = 200 }},
		{"drift -200 ppm", func(l *line) { l.ppm = -200 }},
		{"packets of 10 ms, ± 20", func(l *line) { l.length = 80; l.path = l.uniform(ms(40), ms(20)) }},
		{"packets of 30 ms, ± 20", func(l *line) { l.length = 240; l.path = l.uniform(ms(40), ms(20)) }},
		{"packets of 60 ms, ± 20", func(l *line) { l.length = 480; l.path = l.uniform(ms(40), ms(20)) }},
	} {
		for seed := range uint64(2) {
			l := newLine(seed)
			c.set(l)
			s := l.run(5 * time.Minute)
			t.Logf("%-36s wait %5.1f ms now %5.1f late %.3f %% concealed %.3f %% stretched %v shrunk %v recovered %d", c.name,
				l.waits.Seconds()*1000, s.Delay.Seconds()*1000, percent(s.Late, s.Received),
				100*s.Concealed.Seconds()/300, s.Stretched, s.Shrunk, s.Recovered)
		}
	}
}
