package jobs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestRiverIsHeardFromWarningsOn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := quieter(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))).With("queue", "default").WithGroup("river")
	log.Debug("counting")
	log.Info("producer: Producer job counts", "running", 0)
	if out.Len() > 0 {
		t.Errorf("said %s", &out)
	}
	log.Warn("slow", "job", 7)
	log.Error("broken")
	if got := out.String(); !strings.Contains(got, "slow") || !strings.Contains(got, "queue=default") || !strings.Contains(got, "river.job=7") || !strings.Contains(got, "broken") {
		t.Errorf("said %q", got)
	}
}
