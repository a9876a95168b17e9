package host

import (
	"testing"
	"time"
)

const statLine = "42 (a) b) Z 1 42 42 0 -1 4227148 0 0 0 0 1 2 0 0 20 0 1 0 1234 0 0 18446744073709551615 0 0 0 0 0 0 0 65536 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 256\n"

func TestParseRest(t *testing.T) {
	r, ok := parseRest([]byte(statLine))
	if want := (rest{12340 * time.Millisecond, 65536, 256}); !ok || r != want {
		t.Errorf("got %v, %v, want %v", r, ok, want)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) R 1 2", "1 (x) R 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 -5 0 0 0 0 0 0 0 0 0 0 0 0"} {
		if r, ok := parseRest([]byte(bad)); ok {
			t.Errorf("%q is read as %v", bad, r)
		}
	}
}

func TestParseClock(t *testing.T) {
	if up, ok := parseUptime([]byte("350735.47 234388.90\n")); !ok || up != 350735470*time.Millisecond {
		t.Errorf("uptime: %v, %v", up, ok)
	}
	if boot, ok := parseBootTime([]byte("cpu 1 2\nbtime 1700000000\nprocesses 7\n")); !ok || boot.Unix() != 1700000000 {
		t.Errorf("boot time: %v, %v", boot, ok)
	}
	for _, bad := range []string{"", "x", "-1", "NaN", "1e300", "Inf"} {
		if up, ok := parseUptime([]byte(bad)); ok {
			t.Errorf("uptime %q is read as %v", bad, up)
		}
		if boot, ok := parseBootTime([]byte("btime " + bad + "\n")); ok {
			t.Errorf("boot time %q is read as %v", bad, boot)
		}
	}
}

func TestTTY(t *testing.T) {
	for nr, want := range map[TTY]string{
		0: "", 34816: "pts/0", 137<<8 | 2: "pts/1048578", 1025: "tty1", 1088: "ttyS0", 1281: "console",
		136<<8 | 0x100000: "pts/256", 204<<8 | 64: "tty 204:64", 229 << 8: "hvc0",
	} {
		if got := nr.String(); got != want {
			t.Errorf("%d is %q, want %q", nr, got, want)
		}
	}
}

func TestStateWords(t *testing.T) {
	for _, letter := range []string{"R", "S", "D", "T", "t", "I", "X", "Z", "P"} {
		s := stateOf(letter)
		if back, ok := ParseState(s.String()); s == Unknown || back != s || !ok {
			t.Errorf("%s is %s, and back %s", letter, s, back)
		}
	}
	if _, ok := ParseState("asleep"); ok {
		t.Error("asleep is a state")
	}
	if len(States()) != int(Parked) {
		t.Errorf("states: %v", States())
	}
	if State(200).String() != "unknown" {
		t.Error("a state out of range has a word")
	}
}

// FuzzStat: whatever the lines are, reading them ends, and what is taken makes
// sense.
func FuzzStat(f *testing.F) {
	f.Add([]byte(statLine))
	f.Add([]byte("350735.47 234388.90"))
	f.Add([]byte("btime 1700000000"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, ok := parseRest(text); ok && r.started < 0 {
			t.Errorf("started %v before boot", r.started)
		}
		if up, ok := parseUptime(text); ok && up < 0 {
			t.Errorf("up for %v", up)
		}
		if boot, ok := parseBootTime(text); ok && boot.Unix() <= 0 {
			t.Errorf("booted at %v", boot)
		}
	})
}
