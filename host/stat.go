package host

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"
)

// This file is about the few texts that we read ourselves: what procfs leaves
// out of a stat line, and the host's clock.

// tick is the unit of times in a stat line (USER_HZ is 100 on all machines that
// Linux has run on for years).
const tick = 10 * time.Millisecond

// rest is what a second look at a stat line says: whether the number still is
// the process that was read, and what procfs does not tell.
type rest struct {
	started time.Duration
	ignored uint64 // bit n-1: signal n, of the first 31
	status  uint32 // a zombie's, in wait(2)'s encoding; 0 for those who may not see it
}

// The fields of a stat line after the name, counted from the state, which is 0
// (proc_pid_stat(5): number - 3).
const (
	fieldStarted = 22 - 3
	fieldIgnored = 33 - 3
	fieldStatus  = 52 - 3
)

// parseRest reads a stat line.
func parseRest(line []byte) (rest, bool) {
	end := bytes.LastIndexByte(line, ')') // the name may contain anything
	if end < 0 {
		return rest{}, false
	}
	var r rest
	n := 0
	for field := range bytes.FieldsSeq(line[end+1:]) {
		switch n {
		case fieldStarted, fieldIgnored, fieldStatus:
			v, err := strconv.ParseUint(string(field), 10, 64)
			if err != nil {
				return rest{}, false
			}
			switch n {
			case fieldStarted:
				if v > math.MaxInt64/uint64(tick) {
					return rest{}, false
				}
				r.started = time.Duration(v) * tick
			case fieldIgnored:
				r.ignored = v
			case fieldStatus:
				r.status = uint32(v)
			}
		}
		n++
	}
	return r, n > fieldIgnored // the status came with Linux 3.5
}

// parseUptime reads /proc/uptime: seconds since boot, with two decimals.
func parseUptime(text []byte) (time.Duration, bool) {
	word, _, _ := bytes.Cut(text, []byte(" "))
	s, err := strconv.ParseFloat(string(bytes.TrimSpace(word)), 64)
	if err != nil || !(s >= 0 && s < 1e9) {
		return 0, false
	}
	return time.Duration(math.Round(s*100)) * 10 * time.Millisecond, true
}

// parseBootTime finds the line of /proc/stat that says when the host started.
func parseBootTime(text []byte) (time.Time, bool) {
	for line := range bytes.Lines(text) {
		word, ok := bytes.CutPrefix(line, []byte("btime "))
		if !ok {
			continue
		}
		s, err := strconv.ParseInt(string(bytes.TrimSpace(word)), 10, 64)
		return time.Unix(s, 0), err == nil && s > 0
	}
	return time.Time{}, false
}

// TTY is a terminal's device number as a stat line has it; 0: none.
type TTY int

// String returns the terminal's name under /dev: "pts/3", "tty1", "ttyS0",
// "console"; others by their numbers, "tty 204:64"; "" for none.
// (Linux Documentation/admin-guide/devices.txt.)
func (t TTY) String() string {
	if t == 0 {
		return ""
	}
	major := int(uint32(t)>>8) & 0xfff
	minor := int(uint32(t)&0xff | uint32(t)>>12&0xfff00)
	switch {
	case major >= 136 && major <= 143:
		return fmt.Sprintf("pts/%d", (major-136)<<20|minor)
	case major == 4 && minor < 64:
		return fmt.Sprintf("tty%d", minor)
	case major == 4:
		return fmt.Sprintf("ttyS%d", minor-64)
	case major == 5 && minor == 1:
		return "console"
	case major == 229:
		return fmt.Sprintf("hvc%d", minor)
	}
	return fmt.Sprintf("tty %d:%d", major, minor)
}
