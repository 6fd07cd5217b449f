"""Evidence: the control catalogue, what tests observed, the verdicts that follow, and proof that nothing was changed.

The pure core is controls, records and verdicts; ledger, bundle, verify and the pytest plugin are adapters around it.
"""
