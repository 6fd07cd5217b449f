import pulumi
from components.buckets import SecureBucket
from onedallmail.platform.naming import DataClass


class LogStore(pulumi.ComponentResource):
    def __init__(self, name, *, scope, region, keys, retention_days, opts=None):
        super().__init__("x:b:LogStore", name, None, opts)
        c = pulumi.ResourceOptions(parent=self)

        def st(arn):
            return [
                {
                    "Effect": "Allow",
                    "Principal": {
                        "Service": ["cloudtrail.amazonaws.com", "guardduty.amazonaws.com", "macie.amazonaws.com"]
                    },
                    "Action": ["s3:GetBucketAcl", "s3:GetBucketLocation"],
                    "Resource": arn,
                },
                {
                    "Effect": "Allow",
                    "Principal": {
                        "Service": ["cloudtrail.amazonaws.com", "guardduty.amazonaws.com", "macie.amazonaws.com"]
                    },
                    "Action": "s3:PutObject",
                    "Resource": arn.apply(lambda a: a + "/*"),
                },
            ]

        b = SecureBucket(
            f"{name}-l",
            scope=scope,
            region=region,
            purpose="logs",
            data_class=DataClass.LOGS,
            key_arn=keys.arn(DataClass.LOGS, region),
            statements=[st],
            opts=c,
        )
        a = SecureBucket(
            f"{name}-a", scope=scope, region=region, purpose="access", data_class=DataClass.LOGS, key_arn=None, opts=c
        )
        self.bucket_name, self.bucket_arn, self.ready = b.bucket_name, b.bucket_arn, b.ready
        self.access_bucket_name, self.access_bucket_arn = a.bucket_name, a.bucket_arn
