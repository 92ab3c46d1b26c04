package witness

import (
	"context"
	"errors"
	"time"
)

// Follow looks at the log every Poll until ctx ends, which is no error. It tells report when silence begins and, with nil,
// when it ends; every other alarm ends it, and so does a copy that cannot be written.
func (w *Witness) Follow(ctx context.Context, report func(*Alarm)) error {
	ticker := time.NewTicker(w.config.Poll)
	defer ticker.Stop()
	silent := false
	for {
		err := w.Look(ctx)
		var alarm *Alarm
		quiet := errors.As(err, &alarm) && alarm.Kind == Silence
		switch {
		case err != nil && !quiet:
			return err
		case quiet && !silent:
			report(alarm)
		case silent && w.state.Alarm == nil:
			report(nil)
		}
		silent = w.state.Alarm != nil
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
