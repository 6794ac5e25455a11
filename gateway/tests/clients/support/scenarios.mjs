// Which scenarios of the conformance suite run against a gateway that has Google's tools and nothing else.
// The suite drives a server of its own making ("fixture"): a scenario that calls one of its tools, prompts or
// resources cannot run here. Whatever the suite lists has to be in `RUN` or in `NOT_RUN`.

/** The revisions that the suite knows and the gateway serves, oldest first. */
export const VERSIONS = ['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'];

/** Scenarios that need nothing but the gateway. */
export const RUN = new Set([
  'caching',
  'completion-complete',
  'dns-rebinding-protection',
  'http-header-validation',
  'input-required-result-unsupported-methods',
  'logging-set-level',
  'ping',
  'prompts-list',
  'resources-list',
  'sep-2164-resource-not-found',
  'server-initialize',
  'server-session-lifecycle',
  'server-sse-multiple-streams',
  'server-stateless',
  'tools-list',
]);

const tool = (name) => `needs fixture tool ${name}`;
const prompt = (name) => `needs fixture prompt ${name}`;
const resource = (uri) => `needs fixture resource ${uri}`;
const extension = (id) => `extension ${id} is not offered`;
const TASKS = extension('io.modelcontextprotocol/tasks');
const SKILLS = extension('io.modelcontextprotocol/skills');
const ELICITATION = tool('test_input_required_result_elicitation');

/** Scenarios that do not run, and what each lacks. */
export const NOT_RUN = {
  'elicitation-sep1034-defaults': tool('test_elicitation_sep1034_defaults'),
  'elicitation-sep1330-enums': tool('test_elicitation_sep1330_enums'),
  'http-custom-header-server-validation': tool('test_custom_header'),
  'input-required-result-basic-elicitation': ELICITATION,
  'input-required-result-basic-list-roots': tool('test_input_required_result_list_roots'),
  'input-required-result-basic-sampling': tool('test_input_required_result_sampling'),
  'input-required-result-capability-check': tool('test_input_required_result_capabilities'),
  'input-required-result-ignore-extra-params': ELICITATION,
  'input-required-result-missing-input-response': ELICITATION,
  'input-required-result-multi-round': tool('test_input_required_result_multi_round'),
  'input-required-result-multiple-input-requests': tool('test_input_required_result_multiple_inputs'),
  'input-required-result-non-tool-request': prompt('test_input_required_result_prompt'),
  'input-required-result-request-state': tool('test_input_required_result_request_state'),
  'input-required-result-result-type': ELICITATION,
  'input-required-result-tampered-state': tool('test_input_required_result_tampered_state'),
  'input-required-result-validate-input': ELICITATION,
  'json-schema-2020-12': tool('json_schema_2020_12_tool'),
  'prompts-get-embedded-resource': prompt('test_prompt_with_embedded_resource'),
  'prompts-get-simple': prompt('test_simple_prompt'),
  'prompts-get-with-args': prompt('test_prompt_with_arguments'),
  'prompts-get-with-image': prompt('test_prompt_with_image'),
  'resources-read-binary': resource('test://static-binary'),
  'resources-read-text': resource('test://static-text'),
  'resources-subscribe': resource('test://watched-resource'),
  'resources-templates-read': resource('test://template/{id}/data'),
  'resources-unsubscribe': resource('test://watched-resource'),
  'sep-2640-skills-directory': SKILLS,
  'sep-2640-skills-enumeration': SKILLS,
  'sep-2640-skills-manifest': SKILLS,
  'server-sse-polling': tool('test_reconnection'),
  'tasks-capability-negotiation': TASKS,
  'tasks-dispatch-and-envelope': TASKS,
  'tasks-lifecycle': TASKS,
  'tasks-mrtr-composition': TASKS,
  'tasks-mrtr-input': TASKS,
  'tasks-request-headers': TASKS,
  'tasks-request-state-removal': TASKS,
  'tasks-required-task-error': TASKS,
  'tasks-status-notifications': TASKS,
  'tasks-wire-fields': TASKS,
  'tools-call-audio': tool('test_audio_content'),
  'tools-call-elicitation': tool('test_elicitation'),
  'tools-call-embedded-resource': tool('test_embedded_resource'),
  'tools-call-error': tool('test_error_handling'),
  'tools-call-image': tool('test_image_content'),
  'tools-call-mixed-content': tool('test_multiple_content_types'),
  'tools-call-sampling': tool('test_sampling'),
  'tools-call-simple-text': tool('test_simple_text'),
  'tools-call-with-logging': tool('test_tool_with_logging'),
  'tools-call-with-progress': tool('test_tool_with_progress'),
};

/** Scenarios for the authorization server; they run together, because the second builds on the first. */
export const AUTHORIZATION = ['authorization-server-metadata-endpoint', 'authorization-code-grant'];

/** Single checks that cannot succeed in a scenario that runs, and why. Every other check has to. */
export const UNTESTABLE = {
  'authorization-server-metadata-endpoint': {
    'authorization-server-metadata-cimd': 'optional: documents as client IDs are not offered, clients register',
  },
  'caching': {
    'sep-2549-resources-read-caching-hints': 'needs a resource to read',
  },
  'server-stateless': {
    'sep-2575-http-server-no-independent-requests-on-stream': tool('test_streaming_elicitation'),
    'sep-2575-missing-capability-http-400': tool('test_missing_capability'),
    'sep-2575-server-no-log-without-loglevel': tool('test_logging_tool'),
    'sep-2575-server-rejects-undeclared-capability': tool('test_missing_capability'),
    'sep-2575-server-sends-prompts-list-changed-on-subscription': tool('test_trigger_prompt_change'),
    'sep-2575-server-sends-tools-list-changed-on-subscription': tool('test_trigger_tool_change'),
  },
};
