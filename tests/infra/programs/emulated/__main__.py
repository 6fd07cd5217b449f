"""One of each resource that the lab makes for real."""

import pulumi
import pulumi_aws as aws

config = pulumi.Config("sample")
version = config.get("version") or "1"
key = aws.kms.Key("key", description=f"key {version}", enable_key_rotation=True, tags={"version": version})
aws.kms.Alias("alias", name="alias/sample", target_key_id=key.key_id)
bucket = aws.s3.Bucket("bucket", bucket_prefix="sample-", object_lock_enabled=True, force_destroy=True)
versioning = aws.s3.BucketVersioning("bucket", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"})
aws.s3.BucketObjectLockConfiguration(
    "bucket",
    bucket=bucket.bucket,
    rule={"default_retention": {"mode": "GOVERNANCE", "days": int(version)}},
    opts=pulumi.ResourceOptions(depends_on=[versioning]),
)
aws.s3.BucketPublicAccessBlock("bucket", bucket=bucket.bucket, block_public_acls=True)
aws.s3.BucketServerSideEncryptionConfiguration(
    "bucket",
    bucket=bucket.bucket,
    rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn}}],
)
secret = aws.secretsmanager.Secret("secret", name="sample", kms_key_id=key.arn, recovery_window_in_days=0)
aws.secretsmanager.SecretVersion("secret", secret_id=secret.id, secret_string=f"content {version}")
zone = aws.route53.Zone("zone", name="acme.example")
aws.route53.Record("mx", zone_id=zone.zone_id, name="", type="MX", ttl=300, records=[f"{version}0 mx.acme.example."])
aws.route53.Record("spf", zone_id=zone.zone_id, name="acme.example", type="TXT", ttl=300, records=["v=spf1 mx -all"])
pulumi.export("keyId", key.key_id)
pulumi.export("bucket", bucket.bucket)
pulumi.export("secretArn", secret.arn)
pulumi.export("zoneId", zone.zone_id)
pulumi.export("nameServers", zone.name_servers)
