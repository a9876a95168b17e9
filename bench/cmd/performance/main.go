// Command performance measures the model and writes the tables of
// docs/performance.md, each between its markers; the prose around them stays.
//
//	go run ./bench/cmd/performance [-only model|wait|cuts|run|tree] [-within 2m30s]
//
// It is to be run at the module's root, on a machine that does nothing else.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"axprocess/bench"
)

const page = "docs/performance.md"

func main() {
	only := flag.String("only", "", "the one table to measure: model, wait, cuts, run or tree")
	within := flag.Duration("within", 150*time.Second, "how long the tables of the model and of axp run may take, about")
	flag.Parse()
	tables := []struct {
		name  string
		table func() (string, error)
	}{
		{"model", func() (string, error) { return bench.ModelTable(*within, bench.Sizes), nil }},
		{"wait", func() (string, error) { return bench.PairTable(*within / 5), nil }},
		{"cuts", func() (string, error) { return bench.CutTable(1_000_000), nil }},
		{"run", func() (string, error) {
			return bench.RunTable(bench.RunPlan{Forks: 10_000, Files: 16, Starts: 20, Within: *within})
		}},
		{"tree", func() (string, error) { return bench.TreeTable(10_000) }},
	}
	for _, t := range tables {
		if *only != "" && *only != t.name {
			continue
		}
		fmt.Fprintln(os.Stderr, "performance: measuring", t.name)
		table, err := t.table()
		if err == nil {
			table = fmt.Sprintf("Measured on %s, %s, %d CPUs.\n\n%s", time.Now().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), table)
			err = replace(t.name, table)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "performance:", err)
			os.Exit(2)
		}
		fmt.Print(table)
	}
}

// replace puts a table between its markers.
func replace(name, table string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end "+name+" -->"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no markers for the table %q", page, name)
	}
	return os.WriteFile(page, []byte(before+begin+table+end+after), 0o644)
}
