package axprocess_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestReadmeShowsTheExample: the README's code is Example's, which is compiled and
// run.
func TestReadmeShowsTheExample(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "func Example() {\n")
	code, _, found := strings.Cut(code, "\t// Output:")
	if !found {
		t.Fatal("Example has no output")
	}
	var unindented strings.Builder
	for line := range strings.Lines(code) {
		unindented.WriteString(strings.TrimPrefix(line, "\t"))
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+unindented.String()+"```") {
		t.Errorf("README.md does not have the example as it is:\n%s", unindented.String())
	}
}

// TestTheModelNeedsTheStandardLibraryOnly: what the root package and its own
// packages import is Go's or ours.
func TestTheModelNeedsTheStandardLibraryOnly(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".", "./weakmap", "./spin").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for path := range strings.Lines(string(out)) {
		if path = strings.TrimSpace(path); path != "axprocess" && !strings.HasPrefix(path, "axprocess/") {
			t.Errorf("the model depends on %s", path)
		}
	}
}
