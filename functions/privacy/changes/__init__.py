"""What a data subject has changed without erasing it (GDPR Art. 16, 18, 20, 21): the tasks of
statemachines/changes.asl.json, and the desk where what is to be written is handed in."""
