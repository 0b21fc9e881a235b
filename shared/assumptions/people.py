"""Of the ways to people: mail, Teams, and who a caller is."""

from shared.assumptions.base import Assumption

ASSUMPTIONS = (
    Assumption(
        name="mail.unknown_operation",
        question="What does Communication Services answer when it is asked for an operation that it does not know?",
        values=("404", "400"),
        default="404",
        source="not documented; the specification has one error for every status",
        breaks_if_wrong="A mail whose first request was lost would be given up instead of sent again.",
    ),
    Assumption(
        name="mail.repeated_operation_id",
        question="What does Communication Services do with a second request to send that has the same Operation-Id?",
        values=("same_operation", "sends_again", "conflict"),
        default="same_operation",
        source="the header is documented as the customer's id of the operation; a repetition is not",
        breaks_if_wrong="After a crash the service is asked for the operation before it is told again; if it did not "
        "know an id that it had taken, a person would get a mail twice.",
    ),
    Assumption(
        name="teams.accepted_status",
        question="With which status does a Teams Workflows webhook answer a card that it takes?",
        values=("202", "200"),
        default="202",
        source="Logic Apps' Request trigger answers 202 without a Response action; flows can be edited",
        breaks_if_wrong="A card that was taken would be sent again, or one that was not counted as delivered.",
    ),
    Assumption(
        name="auth.principal_name",
        question="Where does App Service name whoever it signed in with Entra ID?",
        values=(
            "preferred_username",
            "upn",
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
            "name_header",
        ),
        default="preferred_username",
        source="App Service documentation names X-MS-CLIENT-PRINCIPAL-NAME and the claims of the token, whose names "
        "depend on the provider and its version",
        breaks_if_wrong="Nobody who is signed in is recognised, and the API takes no answer; links still do.",
    ),
)
