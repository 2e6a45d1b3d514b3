"""What Plumbline costs, measured against bare loops in the same run: `python -m bench [NAME ...]`.

Never a test: nothing here fails because a machine is slow or busy.
"""
