"""The guardrail that keeps logs, evidence, keys, backups and names from being deleted or changed."""

from components.guardrail import BREAK_GLASS, BUCKETS, DEPLOYMENT, LOG_GROUPS, RESPONDER, Guardrail, deny


def protect_evidence() -> Guardrail:
    """Return the policy that keeps logs, evidence, keys and backups from being deleted or changed."""
    return Guardrail(
        "protect-evidence",
        "Logs, evidence, keys and backups outlive whoever wants them gone",
        (
            deny(
                "Lock",
                ["s3:DeleteBucket", "s3:PutBucketObjectLockConfiguration"],
                resources=[BUCKETS],
                but=[BREAK_GLASS, DEPLOYMENT],
            ),
            deny(
                "Holds",
                ["s3:BypassGovernanceRetention", "s3:PutObjectLegalHold"],
                resources=[f"{BUCKETS}/*"],
                but=[BREAK_GLASS, RESPONDER],
            ),
            deny("Versions", ["s3:DeleteObjectVersion"], resources=[f"{BUCKETS}/*"], but=[BREAK_GLASS]),
            deny(
                "Buckets",
                [
                    "s3:DeleteBucketPolicy",
                    "s3:PutBucketAcl",
                    "s3:PutBucketLogging",
                    "s3:PutBucketOwnershipControls",
                    "s3:PutBucketPolicy",
                    "s3:PutBucketPublicAccessBlock",
                    "s3:PutBucketVersioning",
                    "s3:PutEncryptionConfiguration",
                    "s3:PutLifecycleConfiguration",
                    "s3:PutReplicationConfiguration",
                ],
                resources=[BUCKETS],
                but=[DEPLOYMENT],
            ),
            deny(
                "Groups",
                [
                    "logs:DeleteLogGroup",
                    "logs:DeleteLogStream",
                    "logs:DeleteRetentionPolicy",
                    "logs:DisassociateKmsKey",
                    "logs:PutRetentionPolicy",
                ],
                resources=[LOG_GROUPS, f"{LOG_GROUPS}:*"],
                but=[DEPLOYMENT],
            ),
            deny(
                "Keys",
                [
                    "kms:DeleteCustomKeyStore",
                    "kms:DeleteImportedKeyMaterial",
                    "kms:DisableKey",
                    "kms:DisableKeyRotation",
                    "kms:DisconnectCustomKeyStore",
                    "kms:ScheduleKeyDeletion",
                    "cloudhsm:DeleteBackup",
                    "cloudhsm:DeleteCluster",
                ],
                but=[BREAK_GLASS],
            ),
            deny(
                "Grants",
                ["kms:CreateGrant"],
                condition={"Bool": {"kms:GrantIsForAWSResource": "false"}},
                but=[BREAK_GLASS, DEPLOYMENT],
            ),
            deny("KeyPolicies", ["kms:PutKeyPolicy"], but=[BREAK_GLASS, DEPLOYMENT]),
            deny(
                "Vaults",
                [
                    "backup:DeleteBackupVault",
                    "backup:DeleteBackupVaultAccessPolicy",
                    "backup:DeleteBackupPlan",
                    "backup:DeleteReportPlan",
                    "backup:DisassociateRecoveryPoint",
                    "backup:PutBackupVaultAccessPolicy",
                    "backup:PutBackupVaultLockConfiguration",
                    "backup:UpdateRecoveryPointLifecycle",
                    "backup:UpdateRegionSettings",
                ],
                but=[BREAK_GLASS, DEPLOYMENT],
            ),
            deny(
                "Points",
                ["backup:DeleteRecoveryPoint", "backup:DeleteBackupVaultLockConfiguration"],
                but=[BREAK_GLASS],
            ),
            deny(
                "Traces",
                [
                    "ec2:DeleteFlowLogs",
                    "network-firewall:DeleteFirewall",
                    "network-firewall:UpdateLoggingConfiguration",
                    "route53:DeleteQueryLoggingConfig",
                    "route53resolver:DeleteResolverQueryLogConfig",
                    "route53resolver:DisassociateResolverQueryLogConfig",
                    "wafv2:DeleteLoggingConfiguration",
                ],
                but=[DEPLOYMENT],
            ),
            deny(
                "Names",
                [
                    "route53:DeactivateKeySigningKey",
                    "route53:DeleteHostedZone",
                    "route53:DeleteKeySigningKey",
                    "route53:DisableHostedZoneDNSSEC",
                ],
                but=[BREAK_GLASS, DEPLOYMENT],
            ),
        ),
    )
