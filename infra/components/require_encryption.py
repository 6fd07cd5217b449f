"""The guardrail that refuses what is unencrypted, public, or open to stolen credentials of an instance."""

from components.guardrail import BREAK_GLASS, DEPLOYMENT, Guardrail, deny


def require_encryption() -> Guardrail:
    """Return the policy that refuses what is unencrypted, public, or open to stolen instance credentials."""
    return Guardrail(
        "require-encryption",
        "Nothing unencrypted, nothing public, instance metadata with a session only",
        (
            deny(
                "Volumes",
                ["ec2:CreateVolume", "ec2:RunInstances"],
                resources=["arn:aws:ec2:*:*:volume/*"],
                condition={"Bool": {"ec2:Encrypted": "false"}},
            ),
            deny(
                "Defaults",
                [
                    "ec2:DisableEbsEncryptionByDefault",
                    "ec2:DisableImageBlockPublicAccess",
                    "ec2:DisableSnapshotBlockPublicAccess",
                    "ec2:EnableSerialConsoleAccess",
                    "ec2:ModifyEbsDefaultKmsKeyId",
                    "ec2:ModifyInstanceMetadataDefaults",
                    "ec2:ResetEbsDefaultKmsKeyId",
                    "iam:DeleteAccountPasswordPolicy",
                    "iam:UpdateAccountPasswordPolicy",
                    "s3:PutAccountPublicAccessBlock",
                    "ssm:UpdateServiceSetting",
                ],
                but=[DEPLOYMENT],
            ),
            deny(
                "Objects",
                ["s3:PutObject"],
                condition={
                    "Null": {"s3:x-amz-server-side-encryption": "false"},
                    "StringNotEquals": {"s3:x-amz-server-side-encryption": ["aws:kms", "aws:kms:dsse"]},
                },
            ),
            deny("ObjectsOverTls", ["s3:*"], condition={"Bool": {"aws:SecureTransport": "false"}}),
            deny(
                "PublicAcls",
                ["s3:CreateBucket", "s3:PutBucketAcl", "s3:PutObject", "s3:PutObjectAcl"],
                condition={
                    "StringEquals": {"s3:x-amz-acl": ["authenticated-read", "public-read", "public-read-write"]}
                },
            ),
            deny(
                "PublicImages",
                ["ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute"],
                condition={"StringEquals": {"ec2:Add/group": "all"}},
            ),
            deny(
                "Shares",
                ["ram:CreateResourceShare"],
                condition={"Bool": {"ram:RequestedAllowsExternalPrincipals": "true"}},
            ),
            deny(
                "Metadata",
                ["ec2:RunInstances"],
                resources=["arn:aws:ec2:*:*:instance/*"],
                condition={"StringNotEquals": {"ec2:MetadataHttpTokens": "required"}},
            ),
            deny(
                "MetadataHops",
                ["ec2:RunInstances"],
                resources=["arn:aws:ec2:*:*:instance/*"],
                condition={"NumericGreaterThan": {"ec2:MetadataHttpPutResponseHopLimit": "1"}},
            ),
            deny("MetadataChanges", ["ec2:ModifyInstanceMetadataOptions"], but=[DEPLOYMENT]),
            deny("OldCredentials", ["*"], condition={"NumericLessThan": {"ec2:RoleDelivery": "2.0"}}),
            deny(
                "Users",
                ["iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:CreateUser"],
                but=[BREAK_GLASS],
            ),
        ),
    )
