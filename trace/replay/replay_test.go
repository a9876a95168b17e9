package replay

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"axprocess/trace/strace"
)

// recorded returns the logs of ../testdata, unpacked, by name.
func recorded(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../testdata/*.log.zst")
	if err != nil || len(files) < 45 {
		t.Fatalf("%d logs, %v", len(files), err)
	}
	logs := map[string][]byte{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := strace.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		log, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		f.Close()
		logs[strings.TrimSuffix(filepath.Base(name), ".log.zst")] = log
	}
	return logs
}

func play(log []byte, opt Options) (*Report, error) {
	return Strace("log", strace.NewReader(bytes.NewReader(log)), opt)
}

// TestRecorded: real programs' logs hold no result that the rules don't give, and
// nearly none that they can't predict.
func TestRecorded(t *testing.T) {
	var calls, unpredictable int64
	for name, log := range recorded(t) {
		r, err := play(log, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, m := range r.Mismatches {
			t.Errorf("%s: line %d: %s: want %s, got %s: %s", name, m.Line, m.Call, m.Want, m.Got, m.Rule)
		}
		if r.Calls != r.Predicted+r.Unpredictable || r.Predicted != r.Agreed+r.Mismatched || r.Calls == 0 {
			t.Errorf("%s: the counts don't add up: %+v", name, r)
		}
		if name == "alone" || name == "quiet" {
			continue // without -f, or with -qq, nobody can know when a child ends
		}
		if r.Unpredictable > 2+r.Calls/50 {
			t.Errorf("%s: %d of %d calls are unpredictable: %v", name, r.Unpredictable, r.Calls, r.Reasons)
		}
		calls += r.Calls
		unpredictable += r.Unpredictable
	}
	if unpredictable*50 > calls {
		t.Errorf("%d of %d calls are unpredictable", unpredictable, calls)
	}
	t.Logf("%d calls, %d of them unpredictable", calls, unpredictable)
}

// alteration changes one result of a log.
var alterations = []struct {
	name    string
	pattern *regexp.Regexp
	change  func(string) string // of the pattern's group
}{
	{"a wait's child", regexp.MustCompile(`wait4(?:\(| resumed>).*\) += (\d+)`), plusOne},
	{"a wait's exit code", regexp.MustCompile(`wait4.*WEXITSTATUS\(s\) == (\d+)`), plusOne},
	{"a wait's signal", regexp.MustCompile(`wait4.*W(?:TERM|STOP)SIG\(s\) == (\w+)`), otherSignal},
	{"a wait's ECHILD", regexp.MustCompile(`wait(?:4|id).*= (-1 ECHILD)`), to("0")},
	{"waitid's child", regexp.MustCompile(`waitid.*si_pid=(\d+)`), plusOne},
	{"waitid's status", regexp.MustCompile(`waitid.*CLD_EXITED.*si_status=(\d+)`), plusOne},
	{"getppid", regexp.MustCompile(`getppid.*= (\d+)`), plusOne},
	{"getpid", regexp.MustCompile(`getpid(?:\(| resumed>)\) += (\d+)`), plusOne},
	{"gettid", regexp.MustCompile(`(?:gettid|set_tid_address).*= (\d+)`), plusOne},
	{"a group", regexp.MustCompile(`getpg(?:id|rp).*= (\d+)`), plusOne},
	{"a session", regexp.MustCompile(`getsid.*= (\d+)`), plusOne},
	{"setsid", regexp.MustCompile(`setsid(?:\(| resumed>)\) += (\d+)`), plusOne},
	{"setsid's EPERM", regexp.MustCompile(`setsid.*= (-1 EPERM)`), to("0")},
	{"setpgid's success", regexp.MustCompile(`setpgid.*= (0)`), to("-1 EPERM (Operation not permitted)")},
	{"setpgid's errno", regexp.MustCompile(`setpgid.*= -1 (E\w+)`), to("EINTR")},
	{"setpgid's failure", regexp.MustCompile(`setpgid.*= (-1 \w+ .*)`), to("0")},
	{"kill's success", regexp.MustCompile(`(?:tg)?kill\(.*= (0)`), to("-1 ESRCH (No such process)")},
	{"kill's ESRCH", regexp.MustCompile(`(?:tg)?kill\(.*= (-1 ESRCH.*)`), to("-1 EINVAL (Invalid argument)")},
	{"an exit code", regexp.MustCompile(`\+\+\+ exited with (\d+)`), plusOne},
	{"a fork's child", regexp.MustCompile(`(?:clone3?|fork)(?:\(| resumed>).*= (\d+)`), plusOne},
	{"SIGCHLD's child", regexp.MustCompile(`SIGCHLD.*CLD_(?:EXITED|KILLED).*si_pid=(\d+)`), plusOne},
	{"SIGCHLD's status", regexp.MustCompile(`SIGCHLD.*CLD_EXITED.*si_status=(\d+)`), plusOne},
	{"a killer", regexp.MustCompile(`\+\+\+ killed by (\w+)`), otherSignal},
}

func plusOne(s string) string {
	n, _ := strconv.Atoi(s)
	if n == 255 {
		return "254"
	}
	return strconv.Itoa(n + 1)
}

func otherSignal(s string) string {
	if s == "SIGTERM" {
		return "SIGINT"
	}
	return "SIGTERM"
}

func to(s string) func(string) string { return func(string) string { return s } }

// given returns the world that a log begins in, as its own first calls tell: what
// is inferred from one call can't be noticed to be wrong.
func given(t *testing.T, log []byte) (o Options) {
	r, err := play(log, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range r.Assumed {
		n, _ := strconv.Atoi(a.Value)
		switch a.What {
		case "parent of the first process":
			o.Parent = int32(n)
		case "group of the first process":
			o.PGID = int32(n)
		case "session of the first process":
			o.SID = int32(n)
		case "who gets orphans":
			o.Reaper = int32(n)
		}
	}
	return o
}

// TestAlterations: a result that is altered in a good log is noticed, whatever it
// is: no wrong prediction passes as right.
func TestAlterations(t *testing.T) {
	each := 6
	if testing.Short() {
		each = 1
	}
	tried, noticed := map[string]int{}, map[string]int{}
	total, seen := 0, 0
	for name, log := range recorded(t) {
		if name == "alone" || name == "quiet" || name == "nosignals" || strings.HasPrefix(name, "attach") {
			continue // much of these can't be known
		}
		lines := bytes.SplitAfter(log, []byte("\n"))
		if testing.Short() && len(lines) > 700 {
			continue
		}
		opt := given(t, log)
		rng := rand.New(rand.NewPCG(1, uint64(len(log))))
		for _, a := range alterations {
			var at []int
			for i, line := range lines {
				if a.pattern.Match(line) {
					at = append(at, i)
				}
			}
			rng.Shuffle(len(at), func(i, k int) { at[i], at[k] = at[k], at[i] })
			for _, i := range at[:min(len(at), each)] {
				m := a.pattern.FindSubmatchIndex(lines[i])
				altered := fmt.Sprintf("%s%s%s", lines[i][:m[2]], a.change(string(lines[i][m[2]:m[3]])), lines[i][m[3]:])
				r, err := play(bytes.Join([][]byte{bytes.Join(lines[:i], nil), []byte(altered), bytes.Join(lines[i+1:], nil)}, nil), opt)
				total++
				tried[a.name]++
				if err != nil || r.Mismatched > 0 {
					seen++
					noticed[a.name]++
				} else {
					t.Logf("%s: not noticed, %s: %s", name, a.name, altered)
				}
			}
		}
	}
	for name, n := range tried {
		t.Logf("%-22s %d of %d", name, noticed[name], n)
	}
	if seen*100 < total*98 || len(tried) != len(alterations) {
		t.Errorf("%d of %d altered results were noticed, of %d kinds", seen, total, len(tried))
	}
	t.Logf("%d of %d", seen, total)
}

func BenchmarkReplay(b *testing.B) {
	logs := recorded(b)
	var lines int64
	for b.Loop() {
		for _, log := range logs {
			r, err := play(log, Options{})
			if err != nil {
				b.Fatal(err)
			}
			lines += r.Lines
		}
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}

// FuzzReplay: no log, however broken, makes it panic or miscount.
func FuzzReplay(f *testing.F) {
	matter := regexp.MustCompile(`fork|clone|wait|exit|set[ps]|SIG|exec.*= 0`)
	for _, log := range recorded(f) {
		var lines [][]byte
		for _, line := range bytes.SplitAfter(log, []byte("\n")) {
			if matter.Match(line) && len(line) < 200 {
				lines = append(lines, line)
			}
		}
		f.Add(bytes.Join(lines[len(lines)/2:min(len(lines)/2+12, len(lines))], nil))
		f.Add(bytes.Join(lines[:min(20, len(lines))], nil))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		for _, o := range []Options{{}, {Parent: 5, PGID: 7, SID: 7, Reaper: 1}} {
			r, err := play(log, o)
			if err == nil && (r.Calls != r.Predicted+r.Unpredictable || r.Predicted != r.Agreed+r.Mismatched) {
				t.Fatalf("the counts don't add up: %+v", r)
			}
		}
	})
}

// TestParts: the files of strace -ff, merged by their stamps, are predicted too.
func TestParts(t *testing.T) {
	f, err := os.Open("../testdata/parts.txtar.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := strace.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	packed, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	logs := map[string][]strace.Part{}
	for _, file := range txtar.Parse(packed).Files {
		prefix, suffix, _ := strings.Cut(file.Name, ".")
		tid, err := strconv.Atoi(suffix)
		if err != nil {
			t.Fatal(err)
		}
		logs[prefix] = append(logs[prefix], strace.Part{Name: file.Name, TID: int32(tid), From: strace.NewReader(bytes.NewReader(file.Data))})
	}
	if len(logs) != 3 {
		t.Fatalf("%d logs", len(logs))
	}
	for name, parts := range logs {
		r, err := StraceParts(name, parts, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range r.Mismatches {
			t.Errorf("%s: line %d: %s: want %s, got %s: %s", name, m.Line, m.Call, m.Want, m.Got, m.Rule)
		}
		if r.Calls < 50 || r.Unpredictable > 2+r.Calls/50 {
			t.Errorf("%s: %d calls, %d unpredictable: %v", name, r.Calls, r.Unpredictable, r.Reasons)
		}
	}
	unstamped := []strace.Part{{Name: "a.5", TID: 5, From: strace.NewReader(strings.NewReader("getpid() = 5\n"))}}
	if _, err := StraceParts("a", unstamped, Options{}); err == nil || !strings.Contains(err.Error(), "a.5: line 1: files of strace -ff have no common order") {
		t.Errorf("without stamps: %v", err)
	}
}
