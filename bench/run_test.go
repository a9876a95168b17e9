package bench

import (
	"os/exec"
	"strings"
	"testing"
)

// TestRunTableIsWhole: each competitor has its row, with figures or with the reason
// why it has none; axp itself always has figures where it needs nothing. Figures are
// not judged.
func TestRunTableIsWhole(t *testing.T) {
	for _, needed := range []string{"gcc", "make"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skip("not run: needs " + needed)
		}
	}
	table, err := RunTable(RunPlan{Forks: 20, Files: 2, Starts: 1})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(table), "\n")
	all := wrappers("")
	if len(lines) != 2+len(all) {
		t.Fatalf("%d lines for %d wrappers:\n%s", len(lines), len(all), table)
	}
	for i, w := range all {
		line := lines[2+i]
		if !strings.HasPrefix(line, "| "+w.Name+" | ") || strings.Count(line, "|") != 10 {
			t.Errorf("not the row of %q: %s", w.Name, line)
		}
		measured := !strings.Contains(line, "not measured") && !strings.Contains(line, "NaN")
		if !measured {
			t.Log(line)
		}
		switch w.Name {
		case "bare", "axp run --follow=ptrace", "axp run --follow=proc", "axp run --follow=auto":
			if !measured {
				t.Errorf("%s", line)
			}
		}
	}
}

// TestTreeTableIsWhole: ps and axp tree have figures, which are not judged.
func TestTreeTableIsWhole(t *testing.T) {
	for _, needed := range []string{"gcc", "ps"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skip("not run: needs " + needed)
		}
	}
	table, err := TreeTable(50)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != 5 || strings.Contains(table, "NaN") {
		t.Errorf("the table is not whole:\n%s", table)
	}
}

// TestRunTableSaysWhatIsMissing: a program that is not there is named in its row,
// and the others are measured.
func TestRunTableSaysWhatIsMissing(t *testing.T) {
	_, err := takeTurn(t.TempDir(), Wrapper{"none", []string{"no-such-program"}}, []string{"true"})
	if err == nil {
		t.Fatal("a program that is not there had a turn")
	}
	table := writeRuns(RunPlan{}, []Wrapper{{Name: "bare"}, {Name: "none"}}, []runMeasured{{}, {failed: err}})
	if !strings.Contains(table, "| none | not measured: exec: \"no-such-program\"") {
		t.Errorf("%s", table)
	}
}
