"""The lab double of Telemt: its contract at the edges, an echo in the middle.

It stands in for the Telegram proxy where no real binary can be had. It reads the same file, binds
the same listeners, takes the same PROXY headers and answers the same health questions; it does not
speak MTProto. Everything it says about itself says that it is the double.
"""

# The Telemt release whose contract is imitated; the suffix keeps anyone from taking one for the
# other in a metric or a log.
VERSION = "3.4.25-double"

NOTICE = "this is the stackctl lab double, not Telemt"
