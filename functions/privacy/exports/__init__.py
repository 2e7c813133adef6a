"""Access and portability (GDPR Art. 15 and 20): the tasks of statemachines/export.asl.json."""
