// The certificate of the host, and its zone where Route 53 has it.

import { Certificate, CertificateValidation, type ICertificate } from 'aws-cdk-lib/aws-certificatemanager';
import { HostedZone, type IHostedZone } from 'aws-cdk-lib/aws-route53';
import { Construct } from 'constructs';

import type { Config } from '../../config/schema.ts';

/** An existing certificate by its ARN, or one that is validated by DNS and renews itself. */
export class HostCertificate extends Construct {
  readonly certificate: ICertificate;
  readonly zone: IHostedZone | undefined;

  constructor(scope: Construct, id: string, props: { readonly domain: Config['domain'] }) {
    super(scope, id);
    const { host, certificate, dns } = props.domain;
    this.zone =
      dns.kind === 'hosted-zone'
        ? HostedZone.fromHostedZoneAttributes(this, 'Zone', { hostedZoneId: dns.zoneId, zoneName: dns.zoneName })
        : undefined;
    this.certificate =
      certificate.kind === 'existing'
        ? Certificate.fromCertificateArn(this, 'Certificate', certificate.arn)
        : new Certificate(this, 'Certificate', {
            domainName: host,
            validation: CertificateValidation.fromDns(this.zone),
          });
  }
}
