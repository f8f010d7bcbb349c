package rules

// freeMail are domains whose addresses say nothing of who somebody works for, sorted.
var freeMail = []string{
	"126.com", "163.com", "aim.com", "aol.com", "att.net", "bellsouth.net", "bigpond.com", "bluewin.ch", "bol.com.br", "btinternet.com",
	"centrum.cz", "charter.net", "comcast.net", "cox.net", "duck.com", "earthlink.net", "email.com", "fastmail.com", "fastmail.fm", "foxmail.com",
	"free.fr", "freenet.de", "gmail.com", "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net", "googlemail.com", "hanmail.net",
	"hey.com", "hotmail.co.uk", "hotmail.com", "hotmail.de", "hotmail.es", "hotmail.fr", "hotmail.it", "hushmail.com", "icloud.com", "inbox.com",
	"interia.pl", "juno.com", "laposte.net", "libero.it", "live.co.uk", "live.com", "live.de", "live.fr", "live.nl", "mac.com",
	"mail.com", "mail.ru", "mailbox.org", "me.com", "msn.com", "naver.com", "o2.pl", "onet.pl", "orange.fr", "outlook.com",
	"outlook.de", "outlook.es", "outlook.fr", "pm.me", "posteo.de", "proton.me", "protonmail.ch", "protonmail.com", "qq.com", "rambler.ru",
	"rediffmail.com", "rocketmail.com", "sapo.pt", "sbcglobal.net", "seznam.cz", "sfr.fr", "sina.com", "sky.com", "sohu.com", "t-online.de",
	"talktalk.net", "telenet.be", "terra.com.br", "tiscali.it", "tuta.io", "tutanota.com", "uol.com.br", "verizon.net", "virgilio.it", "virginmedia.com",
	"wanadoo.fr", "web.de", "wp.pl", "yahoo.ca", "yahoo.co.in", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com", "yahoo.com.au", "yahoo.com.br",
	"yahoo.de", "yahoo.es", "yahoo.fr", "yahoo.it", "yandex.com", "yandex.ru", "ymail.com", "zoho.com",
}
