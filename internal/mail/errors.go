package mail

import (
	"errors"
	"fmt"

	gomail "github.com/wneessen/go-mail"
)

// ErrAddress says that a mail has no usable recipient; another try changes nothing.
var ErrAddress = errors.New("mail: recipient address is not usable")

// DeliveryError says that a mail server did not take a mail. It holds no address and none of the server's words, which may
// repeat one.
type DeliveryError struct {
	Permanent bool // the server refused for good (5xx); otherwise another try may work
	Code      int  // SMTP reply code, 0 when there was none
	Stage     string
}

// Error implements error.
func (e *DeliveryError) Error() string {
	if e.Code == 0 {
		return "mail: not delivered: " + e.Stage
	}
	return fmt.Sprintf("mail: not delivered: %s: SMTP reply %d", e.Stage, e.Code)
}

// deliveryError keeps of go-mail's error what may be logged.
func deliveryError(err error) error {
	sendErr, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return &DeliveryError{Stage: "connect"}
	}
	code := sendErr.ErrorCode()
	return &DeliveryError{Permanent: code >= 500 && code < 600, Code: code, Stage: stage(sendErr.Reason)}
}

func stage(r gomail.SendErrReason) string {
	switch r {
	case gomail.ErrSMTPMailFrom:
		return "sender"
	case gomail.ErrSMTPRcptTo:
		return "recipient"
	case gomail.ErrSMTPData, gomail.ErrSMTPDataClose, gomail.ErrWriteContent:
		return "content"
	}
	return "session"
}
