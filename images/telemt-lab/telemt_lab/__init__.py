"""The lab double of Telemt: it does with a client's bytes what Telemt does, for labs and tests.

It stands in for the Telegram proxy where no real binary can be had. It reads the same file, binds
the same listeners, takes the same PROXY headers, answers the same health questions, and passes
MTProto from its users to the data centres, directly. It has no middle proxies, fetches no real
certificates and is written to be watched, not to withstand a censor. Everything it says about
itself says that it is the double.
"""

# The Telemt release whose contract is imitated; the suffix keeps anyone from taking one for the
# other in a metric or a log.
VERSION = "3.4.25-double"

NOTICE = "this is the stackctl lab double: it passes MTProto, for labs and tests, but is not Telemt"
