"""Permission boundaries of an account, to be attached to the roles of operators and of deployments."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass
from onedallmail.platform.stack import PROJECT

from components.boundary_documents import deployment_boundary, operator_boundary
from components.context import Scope


class PermissionBoundaries(pulumi.ComponentResource):
    """Two managed policies that grant nothing by themselves."""

    operator_arn: pulumi.Output[str]
    deployment_arn: pulumi.Output[str]

    def __init__(
        self, name: str, *, scope: Scope, regions: Sequence[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("onedallmail:guardrails:PermissionBoundaries", name, None, opts)
        deployment_name = scope.name("deployment-boundary")
        documents = {
            "operator": pulumi.Output.from_input(operator_boundary(PROJECT, list(regions))),
            "deployment": scope.account_id.apply(lambda account: deployment_boundary(account, deployment_name)),
        }
        policies = {
            role: aws.iam.Policy(
                f"{name}-{role}-boundary",
                name=scope.name(f"{role}-boundary"),
                description=f"The most that a role for {role}s can be allowed",
                policy=pulumi.Output.json_dumps(document),
                tags=scope.tags(scope.name(f"{role}-boundary"), DataClass.NONE, ControlScope.EVIDENCE),
                # Removing a boundary lifts it from every role that has it.
                opts=pulumi.ResourceOptions(parent=self, protect=scope.lasting),
            )
            for role, document in documents.items()
        }
        self.operator_arn, self.deployment_arn = policies["operator"].arn, policies["deployment"].arn
        self.register_outputs({"operatorArn": self.operator_arn, "deploymentArn": self.deployment_arn})
