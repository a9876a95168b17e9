package conformance

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const semanticsPath = "../docs/semantics.md"

func readPage(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestCoveragePageIsUpToDate(t *testing.T) {
	page := readPage(t, "../docs/conformance.md")
	want, err := WithCoverage(page, Coverage(readPage(t, semanticsPath), stories(t)))
	if err != nil {
		t.Fatal(err)
	}
	if page != want {
		t.Error("docs/conformance.md is out of date: go run ./conformance/cmd/coverage -w")
	}
}

// Each story is named after a rule that there is, and no two have one name.
func TestStoriesAreNamedAfterRules(t *testing.T) {
	var numbers []string
	for _, r := range Rules(readPage(t, semanticsPath)) {
		numbers = append(numbers, r.Number)
	}
	if len(numbers) < 35 {
		t.Fatalf("semantics.md has %d rules only: %v", len(numbers), numbers)
	}
	seen := map[string]bool{}
	for file, list := range stories(t) {
		for _, s := range list {
			m := number.FindStringSubmatch(s.Name)
			if m == nil || !slices.Contains(numbers, m[1]) {
				t.Errorf("%s: %q is named after no rule", file, s.Name)
			}
			if seen[s.Name] {
				t.Errorf("%s: %q is there twice", file, s.Name)
			}
			seen[s.Name] = true
		}
	}
}

func TestCoverageListsWhatIsMissing(t *testing.T) {
	semantics := "# x\n## 1. Ids\n1. First rule. More.\n2. Second.\n## Sources\n1. no rule\n"
	text := Coverage(semantics, map[string][]Story{"a": {{Name: "1.2 it holds"}, {Name: "root 1.2 alone"}}})
	for _, want := range []string{"| 1.1 | 0 |", "| 1.2 | 2 | it holds; alone |", "1 of 2 rules have stories; 2 stories in all. Without one: 1.1."} {
		if !strings.Contains(text, want) {
			t.Errorf("the coverage lacks %q:\n%s", want, text)
		}
	}
	if _, err := WithCoverage("no place", text); err == nil {
		t.Error("a page without a place for the coverage was accepted")
	}
}

// What a story can't mean is refused when it is read.
func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"init", "init flies", "init fork", "init setpgid 0", "init exec now"} {
		if s, err := Parse("x", text); err == nil {
			t.Errorf("%q was read as %v", text, s)
		} else if !regexp.MustCompile(`^x, line 1: `).MatchString(err.Error()) {
			t.Errorf("%q: %v does not say where", text, err)
		}
	}
}
