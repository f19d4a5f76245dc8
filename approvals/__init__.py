"""The whole story of one action: proposed, decided by people, carried out, proved."""
