import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { loadConfig } from '../../src/config.ts'
import { environmentName, ROLES, settingPaths } from '../../src/config-schema.ts'
import { startOperations } from '../../src/gateway/operations-server.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { MemoryActors } from '../gateway/platform.ts'
import { quietLog } from '../quiet.ts'
import { END_WITHIN_S, filesIn, imageEnvironment, pathOf, readYaml, VERSION } from './files.ts'

const FOLDER = 'deploy/kubernetes'
const text = z.record(z.string(), z.string())
const metadata = z.strictObject({ name: z.string(), namespace: z.literal('tapeline') })

const probe = z.strictObject({
  httpGet: z.strictObject({ path: z.string(), port: z.literal('http') }),
  periodSeconds: z.number(),
  timeoutSeconds: z.number(),
  failureThreshold: z.number(),
})

/** The keys that are used here, so that one that is misspelt fails; docs/deploy.md tells of the check against the whole schemas. */
const containerSchema = z.strictObject({
  name: z.literal('tapeline'),
  image: z.literal('tapeline'),
  args: z.tuple([z.literal('up'), z.literal('--roles'), z.enum(ROLES)]),
  env: z.array(
    z.strictObject({
      name: z.string(),
      valueFrom: z.strictObject({
        secretKeyRef: z.strictObject({
          name: z.literal('tapeline'),
          key: z.string(),
          optional: z.literal(true).optional(),
        }),
      }),
    }),
  ),
  ports: z.tuple([z.strictObject({ name: z.literal('http'), containerPort: z.number() })]),
  startupProbe: probe,
  livenessProbe: probe,
  readinessProbe: probe,
  lifecycle: z
    .strictObject({ preStop: z.strictObject({ exec: z.strictObject({ command: z.array(z.string()) }) }) })
    .optional(),
  resources: z.strictObject({
    requests: z.strictObject({ cpu: z.string(), memory: z.string() }),
    limits: z.strictObject({ memory: z.string() }),
  }),
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
  }),
  volumeMounts: z.array(
    z.strictObject({ name: z.string(), mountPath: z.string(), readOnly: z.literal(true).optional() }),
  ),
})

const deploymentSchema = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('Deployment'),
  metadata,
  spec: z.strictObject({
    replicas: z.number().int().min(2),
    minReadySeconds: z.number(),
    strategy: z.strictObject({
      rollingUpdate: z.strictObject({ maxSurge: z.literal(1), maxUnavailable: z.literal(0) }),
    }),
    selector: z.strictObject({ matchLabels: text }),
    template: z.strictObject({
      metadata: z.strictObject({ labels: text, annotations: text.optional() }),
      spec: z.strictObject({
        automountServiceAccountToken: z.literal(false),
        terminationGracePeriodSeconds: z.number(),
        securityContext: z.strictObject({
          runAsNonRoot: z.literal(true),
          runAsUser: z.literal(1000),
          runAsGroup: z.literal(1000),
          fsGroup: z.literal(1000),
          seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
        }),
        topologySpreadConstraints: z.array(
          z.strictObject({
            maxSkew: z.literal(1),
            topologyKey: z.literal('kubernetes.io/hostname'),
            whenUnsatisfiable: z.literal('ScheduleAnyway'),
            labelSelector: z.strictObject({ matchLabels: text }),
          }),
        ),
        containers: z.tuple([containerSchema]),
        volumes: z.array(
          z.strictObject({
            name: z.string(),
            configMap: z.strictObject({ name: z.literal('tapeline') }).optional(),
            emptyDir: z.strictObject({ sizeLimit: z.string() }).optional(),
          }),
        ),
      }),
    }),
  }),
})

const budgetSchema = z.strictObject({
  apiVersion: z.literal('policy/v1'),
  kind: z.literal('PodDisruptionBudget'),
  metadata,
  spec: z.strictObject({
    maxUnavailable: z.literal(1),
    selector: z.strictObject({ matchLabels: text }),
  }),
})

const serviceSchema = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Service'),
  metadata,
  spec: z.strictObject({
    selector: text,
    ports: z.array(z.strictObject({ name: z.string(), port: z.number(), targetPort: z.literal('http') })),
  }),
})

const kustomizationSchema = z.strictObject({
  apiVersion: z.literal('kustomize.config.k8s.io/v1beta1'),
  kind: z.literal('Kustomization'),
  namespace: z.literal('tapeline'),
  labels: z.array(z.strictObject({ pairs: text, includeTemplates: z.boolean() })),
  resources: z.array(z.string()),
  configMapGenerator: z.array(z.strictObject({ name: z.string(), files: z.array(z.string()) })),
  images: z.array(z.strictObject({ name: z.string(), newName: z.string(), newTag: z.string() })),
})

const secret = z
  .strictObject({
    apiVersion: z.literal('v1'),
    kind: z.literal('Secret'),
    metadata,
    type: z.literal('Opaque'),
    stringData: text,
  })
  .parse(readYaml(`${FOLDER}/secret.example.yaml`)[0])

const roles = ROLES.map((role) => {
  const [deployment, budget, ...others] = readYaml(`${FOLDER}/${role}.yaml`)
  const parsed = deploymentSchema.parse(deployment)
  const pod = parsed.spec.template.spec
  return {
    role,
    deployment: parsed,
    budget: budgetSchema.parse(budget),
    others,
    pod,
    container: pod.containers[0],
  }
})

/** What a process of a role is configured with. */
function configOf({ role, container }: (typeof roles)[number]) {
  const secrets = Object.fromEntries(
    container.env.map(({ name, valueFrom }) => [name, secret.stringData[valueFrom.secretKeyRef.key]]),
  )
  return loadConfig({
    file: pathOf(`${FOLDER}/tapeline.yaml`),
    environment: { ...imageEnvironment(), ...secrets },
    flags: { roles: [role] },
  })
}

describe('the manifests of Kubernetes', () => {
  test('are all in the kustomization, but for the secret', () => {
    const kustomization = kustomizationSchema.parse(readYaml(`${FOLDER}/kustomization.yaml`)[0])
    const apart = ['kustomization.yaml', 'secret.example.yaml', 'tapeline.yaml']
    const files = filesIn(FOLDER).map((path) => path.slice(FOLDER.length + 1))
    assert.deepEqual([...kustomization.resources, ...apart].sort(), files.sort())
    assert.deepEqual(kustomization.configMapGenerator, [{ name: 'tapeline', files: ['tapeline.yaml'] }])
    assert.deepEqual(
      kustomization.images.map(({ name, newTag }) => [name, newTag]),
      [['tapeline', VERSION]],
    )
  })

  test('select the pods that they mean', () => {
    for (const { role, deployment, budget, pod } of roles) {
      const { labels } = deployment.spec.template.metadata
      assert.equal(labels['app.kubernetes.io/component'], role)
      assert.equal(deployment.metadata.name, role)
      assert.deepEqual(deployment.spec.selector.matchLabels, labels)
      assert.deepEqual(budget.spec.selector.matchLabels, labels)
      assert.deepEqual(
        pod.topologySpreadConstraints.map((each) => each.labelSelector.matchLabels),
        [labels],
      )
    }
  })

  test('differ between roles only in what they should', () => {
    const common = roles.map(({ role, deployment, pod, container }) => {
      const { args: _args, env: _env, resources: _resources, lifecycle: _lifecycle, ...rest } = container
      const shape = { ...deployment.spec, selector: 0, template: { ...pod, containers: rest } }
      return JSON.stringify(shape).replaceAll(`"${role}"`, '"ROLE"')
    })
    assert.deepEqual([...new Set(common)].length, 1, common.join('\n'))
  })

  test('run each role with settings that hold, and only the secrets that it needs', () => {
    const needs = { producer: 2, coordinator: 1, 'consumer-fixed': 2, gateway: 3 }
    for (const each of roles) {
      const config = configOf(each)
      assert.deepEqual([config.roles, each.container.args[2]], [[each.role], each.role])
      assert.equal(each.container.env.length, needs[each.role], each.role)
      assert.equal(config.brokerPassword, secret.stringData['TAPELINE_BROKER_PASSWORD'])
      for (const { name, valueFrom } of each.container.env) assert.equal(name, valueFrom.secretKeyRef.key)
    }
    const [gateway] = roles.filter(({ role }) => role === 'gateway')
    assert.ok(gateway && configOf(gateway).apiKeys.length > 0, 'a public address needs keys')
  })

  test('have secrets with names that mean something', () => {
    const settings = [
      'TAPELINE_API_KEYS',
      'TAPELINE_STORE_PASSWORD',
      'TAPELINE_BROKER_PASSWORD',
      'CRYPTOCOMPARE_API_KEY',
    ]
    assert.deepEqual(Object.keys(secret.stringData).sort(), settings.sort())
    const known = settingPaths().map(environmentName)
    for (const { container } of roles)
      for (const { name } of container.env) assert.ok(settings.includes(name) || known.includes(name), name)
  })

  test('probe routes that there are, on the port of the process', async (t) => {
    const meter = createMeter()
    const server = await startOperations({
      ...{
        host: '127.0.0.1',
        port: 0,
        tls: undefined,
        keys: [],
        actors: new MemoryActors(),
        meter,
        log: quietLog,
      },
      ...{ alerts: () => [], metrics: () => meter.render(), info: { version: VERSION } },
      ready: () => ({ ready: true, checks: [] }),
      dynamicPrefix: 'app.',
    })
    t.after(() => server.close())
    for (const each of roles) {
      const { startupProbe, livenessProbe, readinessProbe, ports } = each.container
      const { gateway, operations } = configOf(each)
      assert.deepEqual([ports[0].containerPort, ports[0].containerPort], [gateway.port, operations.port])
      assert.equal(readinessProbe.httpGet.path, '/readyz')
      assert.deepEqual([startupProbe.httpGet.path, livenessProbe.httpGet.path], ['/healthz', '/healthz'])
      const { annotations } = each.deployment.spec.template.metadata
      assert.equal(annotations === undefined, each.role === 'gateway', 'its metrics want a key')
      const scraped = annotations?.['prometheus.io/path'] ?? '/metrics'
      for (const path of [readinessProbe.httpGet.path, livenessProbe.httpGet.path, scraped]) {
        assert.equal((await fetch(`http://127.0.0.1:${server.port}${path}`)).status, 200, path)
      }
    }
  })

  test('give a process time to start, and to end', () => {
    for (const { role, pod, container } of roles) {
      const pause = Number(container.lifecycle?.preStop.exec.command[1] ?? 0)
      assert.ok(pod.terminationGracePeriodSeconds > END_WITHIN_S + pause, role)
      const { periodSeconds, failureThreshold } = container.startupProbe
      assert.ok(periodSeconds * failureThreshold >= 120, role)
      assert.equal(container.lifecycle !== undefined, role === 'gateway')
    }
  })

  test('mount the configuration where the image looks, and the one folder that is written to', () => {
    for (const { container, pod } of roles) {
      assert.deepEqual(
        container.volumeMounts.map(({ name, mountPath }) => [name, mountPath]),
        [
          ['configuration', '/etc/tapeline'],
          ['data', imageEnvironment()['TAPELINE_DATA']],
        ],
      )
      assert.deepEqual(
        pod.volumes.map(({ name, emptyDir }) => [name, emptyDir !== undefined]),
        [
          ['configuration', false],
          ['data', true],
        ],
      )
    }
  })

  test('lead applications to the gateway', () => {
    for (const { role, others, deployment } of roles) {
      const [service] = others.map((each) => serviceSchema.parse(each))
      assert.equal(service !== undefined, role === 'gateway')
      if (service) assert.deepEqual(service.spec.selector, deployment.spec.template.metadata.labels)
    }
  })

  test('never ask for a replica that would have nothing to do', () => {
    const producer = roles.find(({ role }) => role === 'producer')
    assert.ok(producer && producer.deployment.spec.replicas <= configOf(producer).topics.partitions)
  })
})
