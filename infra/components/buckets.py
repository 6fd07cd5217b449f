import json, pulumi, pulumi_aws as aws


class SecureBucket(pulumi.ComponentResource):
    def __init__(
        self,
        name,
        *,
        scope,
        region,
        purpose,
        data_class,
        key_arn,
        access_log_bucket=None,
        statements=(),
        lock_days=None,
        opts=None,
    ):
        super().__init__("x:b:SecureBucket", name, None, opts)
        c = pulumi.ResourceOptions(parent=self)
        b = aws.s3.Bucket(name, region=region, bucket=scope.name(purpose, region), opts=c)
        self.bucket_name, self.bucket_arn = b.bucket, b.arn
        st = [x for f in statements for x in f(b.arn)]
        self.ready = (
            [
                aws.s3.BucketPolicy(
                    name,
                    region=region,
                    bucket=b.bucket,
                    policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": st}),
                    opts=c,
                )
            ]
            if st
            else []
        )
