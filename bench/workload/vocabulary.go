package workload

// persona is a kind of person.
type persona struct {
	name string
	// share is how many of a hundred people are like this.
	share int
	// sessions bounds how often they visit; gapHours is the mean time between visits.
	sessions, gapHours int
	// pages bounds how many pages they look at in a visit, of those in interest.
	pages    int
	interest []page
	// The rest are chances in percent: to leave an address during a visit, to download and to register for a
	// webinar once known, to ask for a demo in a visit from the second on, and to open a mail and click in it.
	identify, download, webinar, demo, open, click int
	// freeMail is the chance to use a private address.
	freeMail int
	titles   []string
	// scanner says that a machine follows every link in their mail.
	scanner bool
}

type page struct{ path, title string }

var (
	home     = page{"/", "Home"}
	blog     = page{"/blog/decay-explained", "Why scores should decay"}
	blog2    = page{"/blog/from-mql-to-sql", "From MQL to SQL"}
	docs     = page{"/docs/getting-started", "Getting started"}
	docs2    = page{"/docs/api", "API reference"}
	pricing  = page{"/pricing", "Pricing"}
	pricing2 = page{"/pricing/enterprise", "Enterprise pricing"}
	cases    = page{"/customers/logistics", "Customer story: logistics"}
	cases2   = page{"/customers/banking", "Customer story: banking"}
	security = page{"/security", "Security"}
	careers  = page{"/careers", "Careers"}
	product  = page{"/product", "Product"}
)

var managers = []string{"VP Marketing", "Head of Growth", "Director of Sales", "Chief Revenue Officer", "Marketing Manager"}

var personas = []persona{
	{name: "visitor", share: 38, sessions: 2, gapHours: 120, pages: 3, interest: []page{home, blog, blog2, product, careers}},
	{name: "researcher", share: 24, sessions: 7, gapHours: 80, pages: 4, interest: []page{blog, blog2, docs, cases, cases2, product, security},
		identify: 45, download: 30, webinar: 20, demo: 3, open: 50, click: 25, freeMail: 12,
		titles: []string{"Analyst", "Marketing Manager", "Data Engineer", "Consultant"}},
	{name: "buyer", share: 20, sessions: 9, gapHours: 40, pages: 5, interest: []page{home, pricing, pricing2, cases, cases2, security, product, docs},
		identify: 65, download: 35, webinar: 30, demo: 30, open: 60, click: 35, freeMail: 4, titles: managers},
	{name: "student", share: 12, sessions: 8, gapHours: 60, pages: 6, interest: []page{blog, blog2, docs, docs2, careers, product, pricing},
		identify: 50, download: 55, webinar: 35, demo: 2, open: 60, click: 30, freeMail: 95, titles: []string{"Student", "PhD candidate", "Intern"}},
	{name: "scanner", share: 6, sessions: 2, gapHours: 90, pages: 2, interest: []page{home, blog, product},
		identify: 80, open: 100, click: 100, scanner: true, titles: []string{"IT Administrator", "Office Manager"}},
}

var (
	firstNames = []string{"Ada", "Bruno", "Chiara", "Deniz", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaja", "Liam", "Mira", "Nils",
		"Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Viktor", "Wanda", "Yusuf", "Zoe"}
	lastNames = []string{"Adler", "Berg", "Costa", "Diaz", "Eriksen", "Fischer", "Grau", "Haas", "Ivanov", "Jansen", "Kaur", "Lindt", "Moreau",
		"Novak", "Okafor", "Park", "Quist", "Rossi", "Sato", "Tanaka", "Ueda", "Varga", "Weiss", "Young", "Zeller"}
	companyFirst  = []string{"Blue", "North", "Iron", "Quick", "Silver", "Green", "Bright", "Delta", "Amber", "Polar", "Cedar", "Swift"}
	companySecond = []string{"Harbor", "Forge", "Field", "Works", "Grid", "Lane", "Peak", "Mill", "Stone", "River"}
	industries    = []string{"software", "finance", "logistics", "manufacturing", "retail", "education", "healthcare"}
	companySizes  = []int{4, 12, 35, 80, 150, 240, 420, 900, 2600, 11000}
	papers        = []string{"lead-scoring-guide", "b2b-benchmark-report", "roi-worksheet", "security-whitepaper"}
	webinars      = []string{"scoring-in-real-time", "sales-and-marketing-on-one-page"}
	referrers     = []string{"", "https://search.example/", "https://news.example/", "https://social.example/"}
	agents        = []string{"Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6)", "Mozilla/5.0 (X11; Linux x86_64)"}
	rejections    = []string{"no budget", "wrong person", "not reached"}
)

// zone is a time zone and how many minutes it is usually ahead of UTC; nobody's habits shift by summer time.
type zone struct {
	name    string
	minutes int64
}

var zones = []zone{{"Europe/Berlin", 60}, {"Europe/London", 0}, {"America/New_York", -300}, {"America/Chicago", -360}, {"Asia/Singapore", 480}, {"Asia/Kolkata", 330}}
