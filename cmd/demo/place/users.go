package place

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/user"
	"strconv"
)

// Debian and systemd leave these numbers to nobody (systemd's UIDS-GIDS page),
// so that a demo needs no entry in passwd and shares its users with no service.
const (
	firstID = 60578
	lastID  = 61182
)

// chooseIDs draws two user numbers, which are group numbers as well, that
// passwd and group do not know. They are drawn, so that demos side by side get
// different ones.
func chooseIDs() (app, signer uint32, err error) {
	for range 200 {
		id := firstID + rand.IntN(lastID-firstID)
		if unknown(id) && unknown(id+1) {
			return uint32(id), uint32(id + 1), nil
		}
	}
	return 0, 0, fmt.Errorf("place: no free user numbers between %d and %d", firstID, lastID)
}

func unknown(id int) bool {
	var noUser user.UnknownUserIdError
	var noGroup user.UnknownGroupIdError
	_, userErr := user.LookupId(strconv.Itoa(id))
	_, groupErr := user.LookupGroupId(strconv.Itoa(id))
	return errors.As(userErr, &noUser) && errors.As(groupErr, &noGroup)
}
