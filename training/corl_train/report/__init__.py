"""The report of a training run: one HTML page that needs nothing else.

`panels` chooses what is drawn of the figures, `chart` computes where it stands, `findings`
says when something was wrong, and `html` puts the page together. Nothing here needs torch.

    from corl_train.report.html import report_run
"""
