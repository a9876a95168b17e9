package explain

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestJSONIsDescribed: docs/json.md names each field of the answers.
func TestJSONIsDescribed(t *testing.T) {
	text, err := os.ReadFile("../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	_, doc, _ := strings.Cut(string(text), "## axp why --json")
	why, whatif, _ := strings.Cut(doc, "## axp whatif --json")
	for _, test := range []struct {
		of  any
		doc string
	}{
		{Answer{}, why}, {Point{}, why}, {Step{}, why}, {Assumption{}, why},
		{Outcome{}, whatif}, {Refusal{}, whatif}, {End{}, whatif}, {Reparent{}, whatif}, {Orphan{}, whatif},
		{Sent{}, whatif}, {Turn{}, whatif}, {Move{}, whatif}, {Life{}, whatif}, {Terminal{}, whatif},
	} {
		of := reflect.TypeOf(test.of)
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name != "" && !strings.Contains(test.doc, "`"+name+"`") {
				t.Errorf("docs/json.md does not name %q of %s", name, of.Name())
			}
		}
	}
}
