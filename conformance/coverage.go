package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// This file is about which rule is shown by which stories.

// Stories reads all stories of a folder, by file.
func Stories(dir string) (map[string][]Story, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	all := map[string][]Story{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		list, err := ParseArchive(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all[filepath.Base(path)] = list
	}
	return all, nil
}

// Rule is a numbered rule of docs/semantics.md.
type Rule struct {
	Number string // "3.6"
	Text   string // its first sentence
}

var (
	chapter = regexp.MustCompile(`^## (\d+)\. `)
	rule    = regexp.MustCompile(`^(\d+)\. (.*)$`)
)

// Rules reads the numbered rules of docs/semantics.md.
func Rules(semantics string) (rules []Rule) {
	number := ""
	for line := range strings.Lines(semantics) {
		line = strings.TrimSpace(line)
		if m := chapter.FindStringSubmatch(line); m != nil {
			number = m[1]
		} else if strings.HasPrefix(line, "## ") {
			number = ""
		} else if m := rule.FindStringSubmatch(line); m != nil && number != "" {
			first, _, _ := strings.Cut(m[2], ". ")
			rules = append(rules, Rule{number + "." + m[1], strings.TrimSuffix(first, ".")})
		}
	}
	return rules
}

// number is the rule that a story's name begins with.
var number = regexp.MustCompile(`^(?:root )?(\d+\.\d+) `)

// Coverage is the table of rules and their stories, as docs/conformance.md has it.
func Coverage(semantics string, stories map[string][]Story) string {
	shown := map[string][]string{}
	total := 0
	for _, list := range stories {
		for _, s := range list {
			total++
			if m := number.FindStringSubmatch(s.Name); m != nil {
				shown[m[1]] = append(shown[m[1]], s.Name)
			}
		}
	}
	var b strings.Builder
	var without []string
	rules := Rules(semantics)
	b.WriteString("| rule | stories | |\n|---|---|---|\n")
	for _, r := range rules {
		names := shown[r.Number]
		if len(names) == 0 {
			without = append(without, r.Number)
		}
		slices.Sort(names)
		for i, name := range names {
			names[i] = strings.TrimPrefix(strings.TrimPrefix(name, "root "), r.Number+" ")
		}
		fmt.Fprintf(&b, "| %s | %d | %s |\n", r.Number, len(names), strings.Join(names, "; "))
	}
	fmt.Fprintf(&b, "\n%d of %d rules have stories; %d stories in all.", len(rules)-len(without), len(rules), total)
	if len(without) > 0 {
		fmt.Fprintf(&b, " Without one: %s.", strings.Join(without, ", "))
	}
	b.WriteString("\n")
	return b.String()
}

// The lines of docs/conformance.md between which the coverage is kept.
const (
	coverageBegin = "<!-- coverage: go run ./conformance/cmd/coverage -w -->\n"
	coverageEnd   = "<!-- /coverage -->\n"
)

// WithCoverage returns the page with the coverage table in its place.
func WithCoverage(page, table string) (string, error) {
	head, rest, begins := strings.Cut(page, coverageBegin)
	_, tail, ends := strings.Cut(rest, coverageEnd)
	if !begins || !ends {
		return "", fmt.Errorf("the page has no lines %q and %q", strings.TrimSpace(coverageBegin), strings.TrimSpace(coverageEnd))
	}
	return head + coverageBegin + "\n" + table + "\n" + coverageEnd + tail, nil
}
