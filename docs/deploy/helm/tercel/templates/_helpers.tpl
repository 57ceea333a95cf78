{{- define "tercel.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "tercel.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "tercel.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "tercel.picker.name" -}}
{{ include "tercel.name" . }}-picker
{{- end }}

{{- define "tercel.picker.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: endpoint-picker
{{- end }}

{{- define "tercel.secret" -}}
{{ .Values.auth.existingSecret | default (include "tercel.name" .) }}
{{- end }}

{{- /* Whether replicas publish KV events, and a picker that runs here reads them. */ -}}
{{- define "tercel.kvEvents" -}}
{{- $pool := .Values.inferencePool -}}
{{- if and $pool.enabled $pool.endpointPicker.enabled $pool.endpointPicker.kvEvents }}yes{{ end -}}
{{- end }}

{{- define "tercel.servedName" -}}
{{- .Values.model.servedName | default .Values.model.name | default "tercel" -}}
{{- end }}

{{- define "tercel.pod" -}}
metadata:
  labels:
    {{- include "tercel.selector" . | nindent 4 }}
  annotations:
    {{- if not .Values.auth.existingSecret }}
    checksum/keys: {{ printf "%s %s" .Values.auth.apiKey .Values.auth.adminKey | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  # a Service called tercel would set TERCEL_PORT, which is an option's variable
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  # a replica finishes what it has begun, and then some
  terminationGracePeriodSeconds: {{ add .Values.server.drainSeconds 20 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    fsGroup: 1000
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: server
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
        - --host=0.0.0.0
        - --port={{ .Values.ports.http }}
        - --grpc-port={{ .Values.ports.grpc }}
        - --admin-host=0.0.0.0
        - --admin-port={{ .Values.ports.admin }}
        - --drain-timeout={{ .Values.server.drainSeconds }}
        - --max-num-seqs={{ .Values.server.maxNumSeqs }}
        {{- with .Values.model.name }}
        - --model={{ . }}
        {{- end }}
        {{- with .Values.model.servedName }}
        - --served-model-name={{ . }}
        {{- end }}
        {{- with .Values.server.maxModelLen }}
        - --max-model-len={{ . }}
        {{- end }}
        {{- with .Values.server.kvCacheMemory }}
        - --kv-cache-memory={{ . }}
        {{- end }}
        {{- if include "tercel.kvEvents" . }}
        - --kv-events=tcp://*:{{ .Values.inferencePool.endpointPicker.port }}
        - --kv-events-topic=kv@$(POD_IP)@{{ include "tercel.servedName" . }}
        {{- end }}
        {{- range .Values.server.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      env:
        - name: POD_IP
          valueFrom:
            fieldRef:
              fieldPath: status.podIP
        - name: TERCEL_API_KEY
          valueFrom:
            secretKeyRef:
              name: {{ include "tercel.secret" . }}
              key: api-key
        - name: TERCEL_ADMIN_KEY
          valueFrom:
            secretKeyRef:
              name: {{ include "tercel.secret" . }}
              key: admin-key
        - name: JDK_JAVA_OPTIONS
          value: -XX:MaxRAMPercentage={{ .Values.server.heapPercent }}
        - name: HF_HOME
          value: /models/hub
        {{- with .Values.model.hubEndpoint }}
        - name: HF_ENDPOINT
          value: {{ . | quote }}
        {{- end }}
        {{- with .Values.model.hubTokenSecret }}
        - name: HF_TOKEN
          valueFrom:
            secretKeyRef:
              name: {{ . }}
              key: token
        {{- end }}
        {{- with .Values.server.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http
          containerPort: {{ .Values.ports.http }}
        - name: grpc
          containerPort: {{ .Values.ports.grpc }}
        - name: admin
          containerPort: {{ .Values.ports.admin }}
        {{- if include "tercel.kvEvents" . }}
        - name: kv-events
          containerPort: {{ .Values.inferencePool.endpointPicker.port }}
        {{- end }}
      startupProbe:
        httpGet:
          path: /ready
          port: admin
        periodSeconds: 5
        failureThreshold: {{ div .Values.startupSeconds 5 }}
      readinessProbe:
        httpGet:
          path: /ready
          port: admin
        periodSeconds: 2
        failureThreshold: 2
      livenessProbe:
        httpGet:
          path: /health
          port: admin
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: models
          mountPath: /models
        - name: tmp
          mountPath: /tmp
  volumes:
    # the tokenizer unpacks its native library here
    - name: tmp
      emptyDir:
        sizeLimit: 1Gi
    {{- if .Values.storage.existingClaim }}
    - name: models
      persistentVolumeClaim:
        claimName: {{ .Values.storage.existingClaim }}
    {{- else if eq .Values.kind "Deployment" }}
    - name: models
      emptyDir:
        sizeLimit: {{ .Values.storage.size }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.affinity }}
  affinity:
    {{- toYaml .Values.affinity | nindent 4 }}
  {{- else }}
  # replicas want nodes of their own: each uses all cores it can get
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "tercel.selector" . | nindent 16 }}
  {{- end }}
{{- end }}
